"""Which tags are shown by mistake where another one is true.

A multi-label classifier has no confusion matrix of the usual kind: a picture of a fork that is tagged "knife"
may show both. So only pictures that are known *not* to have a tag can show it by mistake, and what matters is
how much more often they do when the other tag is there: a sea makes "boat" likelier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.evaluation.answers import Answers, Matrix

MIN_MISTAKES = 2


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """``[true label, shown label]``, nothing on the diagonal."""

    mistakes: Matrix
    """Pictures that have the first label, are known not to have the second, and are shown it."""
    chances: Matrix
    """Pictures that have the first label and are known not to have the second."""

    def rates(self) -> Matrix:
        """The share of the chances that became mistakes; NaN where there was none."""
        return np.divide(
            self.mistakes, self.chances, out=np.full_like(self.mistakes, np.nan), where=self.chances > 0
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """One tag shown by mistake where another one is true."""

    true: str
    shown: str
    mistakes: int
    rate: float
    """Of the pictures that have the first and not the second."""
    lift: float
    """The rate, divided by how often the second is shown by mistake on any picture without it."""


def confusion(answers: Answers, thresholds: Matrix) -> Confusion:
    """Count the mistakes at the thresholds (``[labels]``; shown at it and above)."""
    positive = answers.positive.astype(np.float64)
    absent = answers.negative.astype(np.float64)
    false = (answers.negative & (answers.scores >= thresholds)).astype(np.float64)
    return Confusion(positive.T @ false, positive.T @ absent)


def worst_pairs(answers: Answers, thresholds: Matrix, *, count: int = 20) -> tuple[Pair, ...]:
    """The pairs with the most mistakes, at least :data:`MIN_MISTAKES`; of as many, the likelier first."""
    matrix = confusion(answers, thresholds)
    rates = matrix.rates()
    false = (answers.negative & (answers.scores >= thresholds)).sum(axis=0)
    usual = false / np.maximum(answers.negative.sum(axis=0), 1)
    found = [
        Pair(
            answers.labels[true],
            answers.labels[shown],
            int(matrix.mistakes[true, shown]),
            float(rates[true, shown]),
            float(rates[true, shown] / usual[shown]),
        )
        for true, shown in np.argwhere(matrix.mistakes >= MIN_MISTAKES).tolist()
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.mistakes, -pair.lift, pair.true, pair.shown))[:count])
