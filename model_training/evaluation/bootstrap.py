"""How far a measure would wander on other pictures: the bootstrap (Efron 1979).

Near duplicates are no independent evidence, so whole groups of them are drawn, with replacement.

Intervals are percentiles of the resamples, moved so that the resamples' mean falls on the measured value: a
positive that is drawn twice ranks above as many negatives twice, which raises average precisions. In a
simulation with 20 labels of 9 to 60 positives the moved interval of the mAP held the truth 18 times in 20,
the one left where it was 16.6 times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.answers import Answers, Mask, Matrix

Measure = Callable[[Answers, Matrix], Matrix]
"""A function of :mod:`model_training.evaluation.metrics`: answers and weights ``[resamples, pictures]`` →
``[resamples]`` or ``[resamples, labels]``."""

_CELLS = 2_000_000
"""Weights at once, which bounds the memory: a few arrays of 16 MB."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A measure on the pictures as they are, and where 95 % of the resamples lie (NaN without resamples)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """What is drawn: the same object draws the same, whatever is measured, and that pairs two models."""

    groups: NDArray[np.int64]
    """The group of each picture: a group is drawn as a whole."""
    count: int = 1000
    seed: int = 0

    def at(self, rows: NDArray[np.intp] | Mask) -> Resampling:
        """For some of the pictures only."""
        return Resampling(self.groups[rows], self.count, self.seed)

    def weights(self) -> Iterator[Matrix]:
        """How often each picture is drawn, in blocks of ``[resamples, pictures]``, ``count`` in all."""
        _, member = np.unique(self.groups, return_inverse=True)
        units = int(member.max()) + 1
        chance = np.random.default_rng(self.seed)
        block = max(1, _CELLS // len(self.groups))
        for start in range(0, self.count, block):
            size = min(block, self.count - start)
            drawn = chance.multinomial(units, np.full(units, 1 / units), size=size)
            yield drawn[:, member].astype(np.float64)

    def distribution(self, measure: Measure, answers: Answers) -> Matrix:
        """The measure on each resample: ``[count]``, or ``[count, labels]``; needs a count of at least 1."""
        return np.concatenate([measure(answers, weights) for weights in self.weights()])

    def interval(self, measure: Measure, answers: Answers) -> Interval:
        """One measure (a share: one number in 0…1 per resample) with its 95 % interval."""
        value = _once(measure, answers)
        if self.count == 0:
            return Interval(float(value), float("nan"), float("nan"))
        low, high = np.clip(ends(self.distribution(measure, answers), value), 0, 1)
        return Interval(float(value), float(low), float(high))


def _once(measure: Measure, answers: Answers) -> Matrix:
    """The measure with each picture counted once."""
    value: Matrix = measure(answers, np.ones((1, len(answers))))[0]
    return value


def ends(samples: Matrix, value: Matrix) -> Matrix:
    """Where the interval begins and ends; NaN where no resample gave a number.

    Args:
        samples: ``[resamples]`` or ``[resamples, labels]``.
        value: As measured, a number or ``[labels]``.

    Returns:
        ``[2]`` or ``[2, labels]``.
    """
    empty = np.isnan(samples).all(axis=0)
    filled = np.where(empty, 0.0, samples)
    moved = np.nanpercentile(filled, [2.5, 97.5], axis=0) - np.nanmean(filled, axis=0) + value
    return np.where(empty, np.nan, moved)


def paired_difference(measure: Measure, first: Answers, second: Answers, resampling: Resampling) -> Interval:
    """By how much the second model is better than the first on the same pictures, drawn together.

    The interval of a difference is far narrower than the two intervals: what makes a resample hard makes it
    hard for both.

    Args:
        measure: Gives one number per resample.
        first: Of one model.
        second: Of the other: the same pictures, labels and truth in the same order.
        resampling: At least one.

    Raises:
        ValueError: the two were not measured on the same truth.
    """
    same = first.labels == second.labels and first.known.shape == second.known.shape
    if not (same and (first.known == second.known).all() and (first.positive == second.positive).all()):
        raise ValueError("the two models were not measured on the same pictures and labels")

    def difference(_: Answers, weights: Matrix) -> Matrix:
        return measure(second, weights) - measure(first, weights)

    value = _once(difference, second)
    low, high = ends(resampling.distribution(difference, second), value)
    return Interval(float(value), float(low), float(high))
