"""What the default model answers to a few pictures, written down.

``python -m tests.model_training.golden_scores`` builds the model if need be and writes its answers anew:
after other heads or another vocabulary, when the change is meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray

from model_training.serving_protos import tf

FILE = Path(__file__).parent / "golden_scores.json"
TRAINED = ("person", "cat", "dog", "cup", "bowl", "sky", "tree", "water", "sunset", "boat")
SUMMED = ("animal", "espresso", "beverage", "tabby-cat", "landscape")
_SIZE = 260


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Three photographs of scikit-image, and three drawings: uint8 RGB ``[260, 260, 3]``.

    The photographs are PNG, so every decoder gives the same pixels.
    """
    folder = Path(skimage.__file__).parent / "data"
    found = {"sunset over water": _sunset(), "tree": _tree(), "noise": _noise()}
    for name in ("astronaut", "chelsea", "coffee"):
        pixels = cv2.cvtColor(cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        found[name] = cv2.resize(pixels, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    return found


def scores_of(exported: Any) -> dict[str, dict[str, float]]:
    """For each picture the scores of all tags, by the signatures of an exported model."""
    drawn = pictures()
    labels = [label.decode() for label in exported.signatures["spec"]()["labels"].numpy().tolist()]
    answer = exported.signatures["serving_default"](images=tf.constant(np.stack(list(drawn.values()))))
    return {
        name: dict(zip(labels, row, strict=True))
        for name, row in zip(drawn, answer["scores"].numpy().tolist(), strict=True)
    }


def _gradient(upper: tuple[int, int, int], lower: tuple[int, int, int]) -> NDArray[np.uint8]:
    """One colour at the top, another at the bottom."""
    share = np.linspace(0, 1, _SIZE)[:, np.newaxis]
    column = np.array(upper) * (1 - share) + np.array(lower) * share
    return np.repeat(column[:, np.newaxis], _SIZE, axis=1).astype(np.uint8)


def _sunset() -> NDArray[np.uint8]:
    pixels = _gradient((60, 40, 90), (255, 160, 60))
    cv2.circle(pixels, (130, 150), 28, (255, 230, 140), -1, cv2.LINE_AA)
    pixels[160:] = _gradient((200, 110, 60), (20, 20, 50))[160:]
    for row in range(166, _SIZE, 8):
        cv2.line(pixels, (130 - row // 6, row), (130 + row // 6, row), (255, 200, 110), 2)
    return pixels


def _tree() -> NDArray[np.uint8]:
    pixels = _gradient((90, 150, 230), (220, 235, 250))
    cv2.rectangle(pixels, (0, 190), (_SIZE, _SIZE), (70, 130, 50), -1)
    cv2.rectangle(pixels, (120, 120), (140, 215), (90, 60, 30), -1)
    random = np.random.default_rng(0)
    for x, y in random.normal((130, 90), (32, 24), (160, 2)).astype(int).tolist():
        shade = int(random.integers(60, 140))
        cv2.circle(pixels, (x, y), 10, (shade // 2, shade, shade // 3), -1, cv2.LINE_AA)
    return pixels


def _noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (_SIZE, _SIZE, 3), dtype=np.uint8)


def _write() -> None:
    from tests.plugins.model_server import default_models  # noqa: PLC0415 - only to write anew

    exported = tf.saved_model.load(str(default_models() / "tagger" / "1"))
    kept = {
        name: {tag: round(scores[tag], 5) for tag in (*TRAINED, *SUMMED)}
        for name, scores in scores_of(exported).items()
    }
    FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _write()
