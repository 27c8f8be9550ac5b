"""Measures of a multi-label classifier. All are masked: an unknown label is neither right nor wrong.

Every function takes ``weights``: how often each picture counts. None counts each once and gives one number
(or one per label); ``[resamples, pictures]`` gives as many as there are resamples, which is how
:mod:`model_training.evaluation.bootstrap` finds intervals without sorting again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.answers import Answers, Matrix

Weights = Matrix | None


def _rows(answers: Answers, weights: Weights) -> Matrix:
    """``[resamples, pictures]``."""
    return np.ones((1, len(answers))) if weights is None else weights


def _shaped(values: Matrix, weights: Weights) -> Matrix:
    return values[0] if weights is None else values


@dataclass(frozen=True, slots=True)
class _Curve:
    """Of one label, cut at each distinct score of a positive from the highest down: ``[resamples, cuts]``.

    Between two of them precision only falls and recall stays, so no measure needs more.
    """

    right: Matrix
    shown: Matrix

    def precision(self) -> Matrix:
        return np.divide(self.right, self.shown, out=np.zeros_like(self.right), where=self.shown > 0)

    def positives(self) -> Matrix:
        return self.right[:, -1]


def _curves(answers: Answers, weights: Weights) -> Iterator[_Curve | None]:
    """The curve of each label; None where no positive is known."""
    rows = _rows(answers, weights).T
    for column in range(len(answers.labels)):
        known = np.flatnonzero(answers.known[:, column])
        scores = answers.scores[known, column]
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        hits = np.flatnonzero(answers.targets[known[order], column])
        if not len(hits):
            yield None
            continue
        # Equal scores cannot be told apart, so they are shown together: a cut is after the last of them.
        ends = np.unique(np.searchsorted(-ranked, -ranked[hits], side="right"))
        starts = np.append(0, ends[:-1])
        counted = rows[known[order[: ends[-1]]]]
        shown = np.add.reduceat(counted, starts, axis=0).cumsum(axis=0)
        right = np.add.reduceat(counted[hits], np.searchsorted(hits, starts), axis=0).cumsum(axis=0)
        yield _Curve(right.T, shown.T)


def average_precisions(answers: Answers, weights: Weights = None) -> Matrix:
    """Average precision per label, Σ (Rₙ - Rₙ₋₁) · Pₙ over the distinct scores, without interpolation.

    Returns:
        ``[labels]``, or ``[resamples, labels]``. NaN where no positive is known (or drawn).
    """
    columns = []
    for curve in _curves(answers, weights):
        if curve is None:
            columns.append(np.full(len(_rows(answers, weights)), np.nan))
            continue
        gained = np.diff(curve.right, axis=1, prepend=0)
        total = curve.positives()
        summed = (gained * curve.precision()).sum(axis=1)
        columns.append(np.divide(summed, total, out=np.full_like(total, np.nan), where=total > 0))
    return _shaped(np.stack(columns, axis=1), weights)


def measurable(answers: Answers, at_least: int = 1) -> NDArray[np.bool_]:
    """The labels with so many known positives, and a negative (without one, any ranking is perfect)."""
    positives: NDArray[np.bool_] = answers.positive.sum(axis=0) >= at_least
    return positives & answers.negative.any(axis=0)


def mean_over(values: Matrix, labels: NDArray[np.bool_]) -> Matrix:
    """The mean over some labels (last axis) of what is a number there; NaN where nothing is."""
    chosen = values[..., labels]
    there = ~np.isnan(chosen)
    count = there.sum(axis=-1)
    total = np.where(there, chosen, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def recalls_at_precision(answers: Answers, precision: float, weights: Weights = None) -> Matrix:
    """The highest recall per label that some threshold reaches with at least this precision; 0 if none does.

    Returns:
        ``[labels]``, or ``[resamples, labels]``. NaN where no positive is known (or drawn).
    """
    columns = []
    for curve in _curves(answers, weights):
        if curve is None:
            columns.append(np.full(len(_rows(answers, weights)), np.nan))
            continue
        reached = np.where((curve.precision() >= precision) & (curve.shown > 0), curve.right, 0).max(axis=1)
        total = curve.positives()
        columns.append(np.divide(reached, total, out=np.full_like(total, np.nan), where=total > 0))
    return _shaped(np.stack(columns, axis=1), weights)


def precision_recall_curve(answers: Answers, column: int) -> tuple[Matrix, Matrix]:
    """Recall and precision of one label at each distinct score of a positive, from the highest down.

    Raises:
        ValueError: no positive is known.
    """
    one = Answers(
        answers.labels[column : column + 1],
        answers.targets[:, column : column + 1],
        answers.known[:, column : column + 1],
        answers.scores[:, column : column + 1],
    )
    curve = next(_curves(one, None))
    if curve is None:
        raise ValueError(f"no picture is known to have {answers.labels[column]!r}")
    return (curve.right / curve.positives()[:, None])[0], curve.precision()[0]


def precision_at(answers: Answers, k: int, weights: Weights = None) -> Matrix:
    """The share of right ones among the ``k`` best known labels of a picture, mean over the pictures.

    Pictures of which fewer than ``k`` labels are known count with those; pictures of which nothing is known
    do not count. Equal scores are taken in the order of the labels.
    """
    ranked = np.argsort(np.where(answers.known, -answers.scores, np.inf), axis=1, kind="stable")[:, :k]
    right = np.take_along_axis(answers.positive, ranked, axis=1).sum(axis=1)
    asked = np.minimum(answers.known.sum(axis=1), k)
    rows = _rows(answers, weights) * (asked > 0)
    total = rows.sum(axis=1)
    summed = rows @ (right / np.maximum(asked, 1))
    return _shaped(np.divide(summed, total, out=np.full_like(total, np.nan), where=total > 0), weights)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is right and wrong with labels shown at thresholds: ``[labels]`` or ``[resamples, labels]``."""

    right: Matrix
    false: Matrix
    missed: Matrix
    rejected: Matrix
    """Rightly not shown."""

    def precisions(self) -> Matrix:
        """Per label; NaN where nothing is shown."""
        return _share(self.right, self.right + self.false)

    def recalls(self) -> Matrix:
        """Per label; NaN where no positive is known."""
        return _share(self.right, self.right + self.missed)

    def f1s(self) -> Matrix:
        """Per label, 2·TP / (2·TP + FP + FN); NaN where the label is neither shown nor there."""
        return _share(2 * self.right, 2 * self.right + self.false + self.missed)

    def micro(self) -> tuple[Matrix, Matrix, Matrix]:
        """Precision, recall and F1 over all labels together: frequent labels decide."""
        right, false, missed = (part.sum(axis=-1) for part in (self.right, self.false, self.missed))
        return (
            _share(right, right + false),
            _share(right, right + missed),
            _share(2 * right, 2 * right + false + missed),
        )

    def accuracy(self) -> Matrix:
        """The share of right answers among all known ones. Means little: see :meth:`all_negative`."""
        return _share((self.right + self.rejected).sum(axis=-1), self._all())

    def all_negative(self) -> Matrix:
        """The accuracy of never showing anything, which belongs beside any accuracy."""
        return _share((self.false + self.rejected).sum(axis=-1), self._all())

    def _all(self) -> Matrix:
        everything: Matrix = (self.right + self.false + self.missed + self.rejected).sum(axis=-1)
        return everything


def _share(part: Matrix, whole: Matrix) -> Matrix:
    return np.divide(part, whole, out=np.full_like(np.asarray(whole, np.float64), np.nan), where=whole > 0)


def shown_at(answers: Answers, thresholds: Matrix, weights: Weights = None) -> Shown:
    """Count what is right and wrong at one threshold per label (``[labels]``; shown at it and above)."""
    shown = answers.scores >= thresholds
    rows = _rows(answers, weights)
    return Shown(
        *(
            _shaped(rows @ cells.astype(np.float64), weights)
            for cells in (
                answers.positive & shown,
                answers.negative & shown,
                answers.positive & ~shown,
                answers.negative & ~shown,
            )
        )
    )
