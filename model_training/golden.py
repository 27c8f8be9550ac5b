"""The golden request of a version: pictures with the answers that it gave when it was exported.

Whoever puts the version into service asks the pictures again and compares. The pictures are drawn by a fixed
rule and belong to nobody; they lie beside the answers, so that the rule may change.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GOLDEN_FILE = "golden.npz"
"""In ``assets.extra/``."""

MOST_SCORES_DIFFER = 0.02
"""Processors round differently, and oneDNN chooses other instructions on them."""
LEAST_COSINE = 0.999

# Colours of so many points a side are drawn, and what lies between is a mixture of its neighbours. Spots of
# each size are another thing to a network.
_POINTS = (2, 5, 13, 34)
# Few shades, so that the file stays small.
_SHADE = 8


class GoldenError(Exception):
    """A version does not answer as it did when it was exported, or does not say how. The text says which."""


@dataclass(frozen=True, slots=True)
class Golden:
    """``images`` uint8 ``[N, H, W, 3]``, ``scores`` float32 ``[N, L]``, ``embedding`` float32 ``[N, D]``."""

    images: NDArray[np.uint8]
    scores: NDArray[np.float32]
    embedding: NDArray[np.float32]


def golden_pictures(height: int, width: int) -> NDArray[np.uint8]:
    """Soft spots of colour, the same for each size: uint8 RGB ``[4, height, width, 3]``."""
    random = np.random.default_rng(20_260)
    drawn = [
        _stretched(_stretched(random.uniform(0, 256, (points, points, 3)), height, axis=0), width, axis=1)
        for points in _POINTS
    ]
    return (np.stack(drawn) // _SHADE * _SHADE).astype(np.uint8)


def _stretched(values: NDArray[np.float64], size: int, *, axis: int) -> NDArray[np.float64]:
    """Linear interpolation along one axis, from its first to its last value."""
    at = np.linspace(0, values.shape[axis] - 1, size)
    below = np.minimum(at.astype(int), values.shape[axis] - 2)
    shape = [1] * values.ndim
    shape[axis] = size
    share = (at - below).reshape(shape)
    stretched: NDArray[np.float64] = values.take(below, axis) * (1 - share)
    stretched += values.take(below + 1, axis) * share
    return stretched


def write_golden(version: Path, *, height: int, width: int) -> None:
    """Ask the version that lies in a folder, and write its golden request into its ``assets.extra/``.

    Args:
        version: With a SavedModel and the folder ``assets.extra``. It is loaded from the disk: what is noted
            is what was written, not what was meant.
        height: Of the pictures that it takes, in pixels.
        width: The same.
    """
    from model_training.tensorflow_runtime import load_tensorflow  # noqa: PLC0415 - whoever compares has none

    tf = load_tensorflow()
    images = golden_pictures(height, width)
    answer = tf.saved_model.load(str(version)).signatures["serving_default"](images=tf.constant(images))
    scores, embedding = answer["scores"].numpy(), answer["embedding"].numpy()
    target = version / "assets.extra" / GOLDEN_FILE
    np.savez_compressed(target, images=images, scores=scores, embedding=embedding)


def read_golden(content: bytes) -> Golden:
    """What :func:`write_golden` has written.

    Raises:
        GoldenError: it is not that.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            golden = Golden(arrays["images"], arrays["scores"], arrays["embedding"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise GoldenError(f"its {GOLDEN_FILE} cannot be read: {error}") from error
    shapes = [array.shape for array in (golden.images, golden.scores, golden.embedding)]
    if [len(shape) for shape in shapes] != [4, 2, 2] or len({shape[0] for shape in shapes}) != 1:
        raise GoldenError(f"its {GOLDEN_FILE} holds arrays of the shapes {shapes}")
    return golden


def check(scores: NDArray[Any], embedding: NDArray[Any], golden: Golden) -> None:
    """Compare an answer to ``golden.images`` with the one that was written down.

    Args:
        scores: float32 ``[N, L]``.
        embedding: float32 ``[N, D]``.
        golden: Of the version that answered.

    Raises:
        GoldenError: another shape, something that is no number, a score that differs by more than 0.02, or an
            embedding whose cosine with the one written down is below 0.999.
    """
    for name, found, expected in (
        ("scores", scores, golden.scores),
        ("embedding", embedding, golden.embedding),
    ):
        if found.shape != expected.shape:
            raise GoldenError(f"the golden request got {name} of shape {found.shape}, not {expected.shape}")
        if not np.isfinite(found).all():
            raise GoldenError(f"the golden request got {name} that are no numbers")
    difference = float(np.abs(scores - golden.scores).max(initial=0.0))
    if difference > MOST_SCORES_DIFFER:
        raise GoldenError(f"the golden request got a score that differs by {difference:.3f}")
    cosine = float(_cosines(embedding, golden.embedding).min(initial=1.0))
    if cosine < LEAST_COSINE:
        raise GoldenError(f"the golden request got an embedding with a cosine of {cosine:.4f} to its own")


def _cosines(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    left, right = one.astype(np.float64), other.astype(np.float64)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: NDArray[np.float64] = (left * right).sum(axis=1) / np.maximum(lengths, 1e-12)
    return cosines
