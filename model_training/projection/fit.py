"""Fits the projection on photographs and measures what it loses on photographs it has not seen."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model_training.export import square_squash
from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import LITE2
from model_training.photographs import Photograph, photographs, prepared
from model_training.projection import DIMENSIONS, FILE, Projection, load_projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.weights import EFFICIENTNET_LITE2, package_state

_HELD_OUT_OF_256 = 51  # a fifth
_NEIGHBOURS = 10
_SERIES = re.compile(r"^(corel5k_\d+)\d{3}$")
# Sets whose labels name what is in the picture, several at a time.
_LABELLED = {"coco", "corel5k", "msrcv2"}
# On almost every picture of these sets, so that sharing it says nothing.
_EVERYWHERE = {"person", "people", "sky", "tree", "water", "grass"}


def held_out(picture: Photograph) -> bool:
    """Whether a picture is kept for measuring. A series (near duplicates) is kept or used as a whole."""
    series = _SERIES.sub(r"\1", picture.path.stem)
    return hashlib.sha256(series.encode()).digest()[0] < _HELD_OUT_OF_256


def features_of(pictures: list[Photograph]) -> NDArray[np.float32]:
    """The network's features ``[N, 1280]``."""
    tf = load_tensorflow()
    network = efficientnet_lite.build(LITE2)
    efficientnet_lite.load_state(LITE2, network, package_state(EFFICIENTNET_LITE2))
    folded = efficientnet_lite.folded(LITE2, network)

    @tf.function
    def features(images: Any) -> Any:
        return folded(tf.cast(images, tf.float32), training=False)[0]

    batch = 32
    batches = prepared(pictures, square_squash(LITE2.size), batch=batch)
    total = -(-len(pictures) // batch)
    return np.concatenate([features(b).numpy() for b in track(batches, "Features", total=total)])


def fit(features: NDArray[np.float32], dimensions: int = DIMENSIONS) -> Projection:
    """The principal components of unit-length features ``[N, F]``, rounded to what the file holds."""
    unit = _unit(features.astype(np.float64))
    mean = unit.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((unit - mean).T))
    components = vectors[:, ::-1][:, :dimensions]
    # The sign of a component is arbitrary; fixing it makes a second fit the same file.
    signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(dimensions)])
    return Projection(mean.astype(np.float32), (components * signs).astype(np.float16).astype(np.float32))


def save(projection: Projection, folder: Path) -> Path:
    """Write the file that is shipped: the mean as float32, the components as float16."""
    content = io.BytesIO()
    np.savez_compressed(content, mean=projection.mean, components=projection.components.astype(np.float16))
    path = folder / FILE
    path.write_bytes(content.getvalue())
    return path


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _neighbours(vectors: NDArray[Any]) -> NDArray[np.intp]:
    """Positions ``[N, 10]`` of the nearest others by cosine."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1)[:, :_NEIGHBOURS]


def _recall(found: NDArray[np.intp], true: NDArray[np.intp]) -> float:
    return float(np.mean([len(set(a) & set(b)) / _NEIGHBOURS for a, b in zip(found, true, strict=True)]))


def _shared(vectors: NDArray[Any], pictures: list[Photograph]) -> float:
    """Share of the ten neighbours that have a label in common with the picture."""
    labelled = [i for i, p in enumerate(pictures) if p.collection in _LABELLED and p.labels - _EVERYWHERE]
    labels = [pictures[i].labels - _EVERYWHERE for i in labelled]
    found = _neighbours(vectors[labelled])
    return float(
        np.mean([bool(labels[i] & labels[j]) for i, row in enumerate(found) for j in row], dtype=np.float64)
    )


def report(
    projection: Projection, features: NDArray[np.float32], pictures: list[Photograph], console: Console
) -> None:
    """Print what the projection loses on these pictures, which it must not have been fitted on."""
    unit = _unit(features.astype(np.float64))
    centred = unit - projection.mean
    components = projection.components.astype(np.float64)
    lost = centred - centred @ components @ components.T
    explained = 1 - (lost**2).sum() / (centred**2).sum()
    embedded = projection.embed(features)

    table = Table(title=f"{projection.id} on {len(pictures)} held-out photographs")
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_row("explained variance of the centred features", f"{explained:.3f}")
    in_centred, in_raw = _neighbours(_unit(centred)), _neighbours(unit)
    own = _neighbours(embedded)
    table.add_row("recall@10 against the 1,280 centred features", f"{_recall(own, in_centred):.3f}")
    table.add_row("recall@10 against the 1,280 features as they are", f"{_recall(own, in_raw):.3f}")
    for name, vectors in (
        ("1,280 features as they are", unit),
        ("1,280 centred features", _unit(centred)),
        ("the embedding", embedded),
    ):
        table.add_row(f"ten neighbours that share a label: {name}", f"{_shared(vectors, pictures):.3f}")
    console.print(table)


def fit_projection(folder: Path | None, console: Console) -> None:
    """The command: fit on four fifths and write the file, or measure the shipped one; then report.

    Args:
        folder: Where to write; None: measure the shipped projection instead of fitting one.
        console: For the report.

    Raises:
        NoPhotographsError: there are none.
    """
    pictures = photographs()
    kept = [picture for picture in pictures if held_out(picture)]
    if folder is None:
        projection = load_projection()
    else:
        used = [picture for picture in pictures if not held_out(picture)]
        projection = fit(features_of(used))
        console.print(f"fitted on {len(used)} photographs: {save(projection, folder)}")
    report(projection, features_of(kept), kept, console)
