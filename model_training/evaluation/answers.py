"""What a network answered for labelled pictures, beside what is known of them: all that a measure needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Scores beside the truth, all ``[pictures, labels]``. What is not known counts in no measure."""

    labels: tuple[str, ...]
    targets: Mask
    """True where the picture has the label."""
    known: Mask
    """False where nobody said."""
    scores: Matrix

    def __post_init__(self) -> None:
        """Refuse matrices that do not fit each other.

        Raises:
            ValueError: another shape, a number of columns that is not the labels', or a score that is none.
        """
        shape = (len(self.scores), len(self.labels))
        for name, matrix in (("targets", self.targets), ("known", self.known), ("scores", self.scores)):
            if matrix.shape != shape:
                raise ValueError(f"{name} have shape {matrix.shape}, expected {shape}")
        if not np.isfinite(self.scores).all():
            raise ValueError("scores are not all finite numbers")

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def positive(self) -> Mask:
        """Known to have the label."""
        return self.targets & self.known

    @property
    def negative(self) -> Mask:
        """Known not to have it."""
        return ~self.targets & self.known

    def at(self, rows: NDArray[np.intp] | Mask) -> Answers:
        """Some of the pictures, by position or by mask."""
        return Answers(self.labels, self.targets[rows], self.known[rows], self.scores[rows])


def answers_of(
    labels: tuple[str, ...], targets: NDArray[np.generic], known: NDArray[np.generic], scores: Matrix
) -> Answers:
    """Answers from the 0-and-1 matrices that data sets give. Raises ValueError as :class:`Answers` does."""
    return Answers(labels, targets.astype(bool), known.astype(bool), np.asarray(scores, np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Facts about the pictures, in the order of the rows."""

    sha256: tuple[str, ...]
    groups: NDArray[np.int64]
    """Near duplicates have the same number: they are drawn together where chance is measured."""
    sources: tuple[str, ...]
    megapixels: Matrix
    brightness: Matrix
    """Mean, 0…1."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The contents of ``predictions.npz``."""

    answers: Answers
    logits: Matrix
    """``[pictures, labels]``, before calibration."""
    pictures: Pictures


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Write them as a compressed ``.npz`` of plain arrays."""
    answers, pictures = predictions.answers, predictions.pictures
    np.savez_compressed(
        path,
        allow_pickle=False,
        labels=np.array(answers.labels),
        targets=answers.targets,
        known=answers.known,
        scores=answers.scores,
        logits=predictions.logits.astype(np.float32),  # which is what networks give
        sha256=np.array(pictures.sha256),
        groups=pictures.groups,
        sources=np.array(pictures.sources),
        megapixels=pictures.megapixels,
        brightness=pictures.brightness,
    )


def load_predictions(path: Path) -> Predictions:
    """Read what :func:`save_predictions` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        answers = answers_of(
            tuple(arrays["labels"].tolist()), arrays["targets"], arrays["known"], arrays["scores"]
        )
        pictures = Pictures(
            sha256=tuple(arrays["sha256"].tolist()),
            groups=arrays["groups"],
            sources=tuple(arrays["sources"].tolist()),
            megapixels=arrays["megapixels"],
            brightness=arrays["brightness"],
        )
        return Predictions(answers, arrays["logits"].astype(np.float64), pictures)
