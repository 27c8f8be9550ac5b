"""Intervals: Wilson's for a proportion, Newcombe's for a difference of two, a paired bootstrap for ratios."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

# The 97.5 % quantile of the normal distribution: two-sided intervals of 95 %.
_Z = 1.959963984540054
_PERCENTILES = (2.5, 97.5)
# Of the draws; else a ratio is undefined too often for its percentiles to mean anything.
_MOST_UNDEFINED = 0.5


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds between which the truth lies in 95 of 100 cases."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """``right`` of ``of``; no value where there were none."""

    right: int
    of: int

    @property
    def interval(self) -> Interval | None:
        """The share with Wilson's interval."""
        return wilson(self.right, self.of) if self.of else None


def wilson(right: int, of: int) -> Interval:
    """Wilson's score interval for a proportion, 95 %.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
    (1927) 209-212; method 3 of R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872.

    Args:
        right: from 0 to ``of``.
        of: at least 1.

    Raises:
        ValueError: no such proportion.
    """
    if not 0 <= right <= of or not of:
        raise ValueError(f"{right} of {of} is no proportion")
    share = right / of
    middle = 2 * of * share + _Z**2
    spread = _Z * sqrt(_Z**2 + 4 * of * share * (1 - share))
    below, above = (middle - spread) / (2 * (of + _Z**2)), (middle + spread) / (2 * (of + _Z**2))
    # At the ends the formula gives exactly 0 and 1, but for the rounding of its roots.
    return Interval(share, 0.0 if right == 0 else below, 1.0 if right == of else above)


def newcombe(first: Rate, second: Rate) -> Interval:
    """Newcombe's interval for the difference of two independent proportions, ``first - second``, 95 %.

    Source: method 10 (hybrid score) of R. G. Newcombe, "Interval estimation for the difference between
    independent proportions: comparison of eleven methods", Statistics in Medicine 17 (1998) 873-890.

    Raises:
        ValueError: one of them is no proportion.
    """
    one, two = wilson(first.right, first.of), wilson(second.right, second.of)
    difference = one.estimate - two.estimate
    below = sqrt((one.estimate - one.low) ** 2 + (two.high - two.estimate) ** 2)
    above = sqrt((one.high - one.estimate) ** 2 + (two.estimate - two.low) ** 2)
    return Interval(difference, difference - below, difference + above)


def resamples(*, rows: int, draws: int, seed: tuple[int, ...]) -> NDArray[np.float32]:
    """How often each row is drawn, float32 ``[draws, rows]``: rows with replacement, the same for a seed."""
    random = np.random.default_rng(seed)
    return random.multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(np.float32)


def paired_difference(
    weights: NDArray[np.float32], first: NDArray[np.float32], second: NDArray[np.float32]
) -> Interval | None:
    """The difference of two ratios over the same rows, ``second - first``, with its percentile interval.

    A row keeps what both say of it, so what makes a picture easy or hard for both cancels out. Source:
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6 and 13.

    Args:
        weights: how often each row is drawn, ``[draws, rows]``.
        first: numerator and denominator of each row, ``[rows, 2]``.
        second: the same of the other.

    Returns:
        None where a ratio is undefined, or is so in most draws.
    """
    totals = np.concatenate([first, second], axis=1)
    estimate = _difference(totals.sum(axis=0, keepdims=True))[0]
    drawn = _difference(weights @ totals)
    if np.isnan(estimate) or np.isnan(drawn).mean() > _MOST_UNDEFINED:
        return None
    low, high = np.nanpercentile(drawn, _PERCENTILES)
    return Interval(float(estimate), float(low), float(high))


def _difference(totals: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = totals[:, (0, 2)] / totals[:, (1, 3)]
    difference: NDArray[np.float32] = shares[:, 1] - shares[:, 0]
    return difference
