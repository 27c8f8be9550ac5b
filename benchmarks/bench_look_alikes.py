"""How near near duplicates and strangers are: what the threshold of pairs was chosen by.

Over the labelled photographs (``VITRINE_DATA``): fingerprints of all, and of all pairs within seven bits
the cosine of the default model's embeddings; and the same for copies of some, saved again or resized.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import PreparedPicture, looks_of, prepare

_FOLDER = Path(os.environ.get("VITRINE_DATA", "../shared/data")) / "photos" / "images"
_SPEC = PreprocessSpec(id="squash-260", width=260, height=260)
_COPIED = 250
_FACTORS = {"at quality 50": (1.0, 50), "at quality 25": (1.0, 25), "half": (0.5, 80), "twice": (2.0, 80)}
_RULES = {
    "0.6": (0.6, 0.0),
    "0.7": (0.7, 0.0),
    "0.8": (0.8, 0.0),
    "0.6 + 0.04 for each bit": (0.6, 0.04),
}
_MOST_BITS = 7


def bits_of(pictures: list[PreparedPicture]) -> NDArray[np.float32]:
    """Fingerprints as 0 and 1, ``[N, 64]``; NaN for those that have none."""
    rows = np.full((len(pictures), 64), np.nan, np.float32)
    for row, picture in zip(rows, pictures, strict=True):
        fingerprint = looks_of(picture).fingerprint
        if fingerprint is not None:
            row[:] = np.unpackbits(np.frombuffer(fingerprint.to_bytes(8, signed=True), np.uint8))
    return rows


def embed(pictures: list[PreparedPicture]) -> NDArray[np.float32]:
    """The default model's embeddings, ``[N, 320]``."""
    import tensorflow as tf  # noqa: PLC0415  # of weight

    from tests.plugins.model_server import default_models  # noqa: PLC0415  # likewise

    answer = tf.saved_model.load(str(default_models() / "tagger" / "1")).signatures["serving_default"]
    parts = [
        answer(images=tf.constant(np.stack([picture.pixels for picture in pictures[first : first + 32]])))
        for first in range(0, len(pictures), 32)
    ]
    return np.concatenate([part["embedding"].numpy() for part in parts])


def copied(data: bytes, factor: float, quality: int) -> bytes:
    """The picture in another size, as another JPEG."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if factor != 1:
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=method)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def near_strangers(paths: list[Path]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bits and cosine of each pair within seven bits. Some of them are one scene, taken twice."""
    rows = [bits_of([prepare(path.read_bytes(), _SPEC)])[0] for path in paths]
    known = [index for index, row in enumerate(rows) if not np.isnan(row).any()]
    bits = np.stack([rows[index] for index in known])
    distance = bits @ (1 - bits).T
    distance += distance.T
    first, second = np.nonzero(np.triu(distance <= _MOST_BITS, 1))
    shown = sorted({*first, *second})
    place = {index: number for number, index in enumerate(shown)}
    vectors = embed([prepare(paths[known[index]].read_bytes(), _SPEC) for index in shown])
    cosine = np.array([vectors[place[a]] @ vectors[place[b]] for a, b in zip(first, second, strict=True)])
    return distance[first, second], cosine


def main() -> None:
    """Print pairs and shares for each rule."""
    paths = sorted(_FOLDER.glob("*.jpg"))
    if not paths:
        print("VITRINE_DATA names no labelled photographs: left out")
        return
    bits, cosine = near_strangers(paths)
    print(f"{len(paths):,} photographs, {len(bits):,} pairs within {_MOST_BITS} bits; pairs by rule:")
    for name, (least, each) in _RULES.items():
        print(f"  cosine at least {name}: {int((cosine >= least + each * bits).sum())}")
    data = [path.read_bytes() for path in random.Random(5).sample(paths, _COPIED)]
    originals = [prepare(one, _SPEC) for one in data]
    prints, vectors = bits_of(originals), embed(originals)
    print(f"of {_COPIED} of them, copies that are found, within {_MOST_BITS} bits and by each rule:")
    for name, (factor, quality) in _FACTORS.items():
        copies = [prepare(copied(one, factor, quality), _SPEC) for one in data]
        apart = np.abs(bits_of(copies) - prints).sum(axis=1)  # NaN is near nothing
        like = (embed(copies) * vectors).sum(axis=1)
        near = apart <= _MOST_BITS
        found = ", ".join(
            f"{rule}: {(near & (like >= least + each * apart)).mean():.1%}"
            for rule, (least, each) in _RULES.items()
        )
        print(f"  {name}: {near.mean():.1%}; {found}", flush=True)


if __name__ == "__main__":
    main()
