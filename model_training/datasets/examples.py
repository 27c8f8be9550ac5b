"""What is known of labelled pictures, whatever the format that said it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Example:
    """One picture. A label that is neither positive nor negative is unknown: masked, never taken for a no."""

    path: Path
    source: str
    """Name of the data set it comes from: a slice of the evaluation."""
    positive: frozenset[str]
    negative: frozenset[str]
    sha256: str = ""
    """What the labels were said of, if the source tells: other bytes are refused."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Pictures and the labels, as slugs, that some of them are known to have or not to have."""

    labels: tuple[str, ...]
    names: dict[str, str]
    """What people call a label, by slug."""
    examples: tuple[Example, ...]

    def targets(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Labels and what is known of them, both ``[examples, labels]`` of 0 and 1.

        Returns:
            ``targets``: 1 where the picture has the label; ``known``: 0 where nobody said.
        """
        return targets_of(self.examples, self.labels)


class Labelled(Protocol):
    """Whatever says which labels it has and has not."""

    @property
    def positive(self) -> Collection[str]:
        """Slugs."""

    @property
    def negative(self) -> Collection[str]:
        """Slugs."""


def targets_of(
    examples: Sequence[Labelled], labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """See :meth:`DataSet.targets`. Labels that are not among ``labels`` are left out."""
    column = {label: position for position, label in enumerate(labels)}
    targets = np.zeros((len(examples), len(labels)), np.float32)
    known = np.zeros_like(targets)
    for row, example in enumerate(examples):
        for label in example.positive:
            if label in column:
                targets[row, column[label]] = known[row, column[label]] = 1
        for label in example.negative:
            if label in column:
                known[row, column[label]] = 1
    return targets, known
