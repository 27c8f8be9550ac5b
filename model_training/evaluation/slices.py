"""Parts of the pictures on which a model may be worse: dark ones, small ones, those of one source."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.evaluation.answers import Mask, Matrix, Pictures

_NAMES = ("lowest third", "middle third", "highest third")


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the pictures."""

    by: str
    """``brightness``, ``size`` or ``source``."""
    name: str
    rows: Mask
    """``[pictures]``."""


def _thirds(by: str, values: Matrix, unit: str) -> list[Slice]:
    """Three parts of about as many pictures; fewer where many values are equal."""
    lower, upper = np.quantile(values, [1 / 3, 2 / 3])
    parts = []
    for third, rows in zip(
        _NAMES,
        (values <= lower, (values > lower) & (values <= upper), values > upper),
        strict=True,
    ):
        if rows.any():
            found = values[rows]
            parts.append(Slice(by, f"{third} ({found.min():.2f}…{found.max():.2f}{unit})", rows))
    return parts


def slices(pictures: Pictures) -> tuple[Slice, ...]:
    """Thirds by brightness and by size, and each source. Empty parts are left out."""
    sources = np.array(pictures.sources)
    return (
        *_thirds("brightness", pictures.brightness, ""),
        *_thirds("size", pictures.megapixels, " MP"),
        *(Slice("source", name, sources == name) for name in sorted(set(pictures.sources))),
    )
