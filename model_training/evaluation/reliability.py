"""Whether a score of 0.7 is right seven times in ten.

Expected calibration error: Naeini, Cooper and Hauskrecht (AAAI 2015), Guo et al. (2017, arXiv:1706.04599).
It is never zero: of perfect probabilities, 100 scores show an error of 0.10 and 20 scores one of 0.22. So
what chance alone would show stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model_training.evaluation.answers import Answers, Mask, Matrix

BINS = 10
FLOOR = 0.1
"""Scores below say "no" and are nearly all of them: with them, any model looks calibrated."""
MIN_SCORES = 20
"""Of fewer scores in a label the error is not told."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The scores in bins of equal width, ``[bins]`` each; NaN where a bin is empty."""

    edges: Matrix
    """``[bins + 1]``."""
    scores: Matrix
    """The mean score in the bin."""
    shares: Matrix
    """The share that has the label."""
    counts: Matrix
    variances: Matrix
    """Of ``shares``, if the scores were right: Σ s · (1 - s) / n² over the scores in the bin."""

    def error(self) -> float:
        """The expected calibration error: Σ n_b / n · |mean score - share|. NaN without any score."""
        return self._mean(np.abs(self.scores - self.shares))

    def error_by_chance(self) -> float:
        """What :meth:`error` would be on average if every score were right: E|x| = σ·√(2/π) in each bin."""
        return self._mean(np.sqrt(2 / np.pi * self.variances))

    def _mean(self, bins: Matrix) -> float:
        there = self.counts > 0
        if not there.any():
            return float("nan")
        return float((self.counts[there] / self.counts.sum() * bins[there]).sum())


def reliability(scores: Matrix, targets: Mask, *, floor: float = FLOOR, bins: int = BINS) -> Reliability:
    """Put the scores at or above ``floor`` into bins of equal width from ``floor`` to 1.

    Args:
        scores: ``[n]``, 0…1, known ones only.
        targets: Which of them have the label.
        floor: Scores below do not count.
        bins: How many.
    """
    edges = np.linspace(floor, 1, bins + 1)
    counted = scores >= floor
    kept, truth = scores[counted], targets[counted]
    place = np.clip(np.searchsorted(edges, kept, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins).astype(np.float64)
    divisor = np.where(counts > 0, counts, np.nan)
    return Reliability(
        edges,
        np.bincount(place, weights=kept, minlength=bins) / divisor,
        np.bincount(place, weights=truth, minlength=bins) / divisor,
        counts,
        np.bincount(place, weights=kept * (1 - kept), minlength=bins) / divisor**2,
    )


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Of one label."""

    error: float
    """NaN with fewer than :data:`MIN_SCORES` scores at or above the floor."""
    by_chance: float
    """What right probabilities would show on average with as many scores; NaN as above."""
    scores: int
    """How many those are."""
    share: float
    """Of all known scores of the label; NaN where none is known."""


def calibration_errors(
    answers: Answers, *, floor: float = FLOOR, bins: int = BINS
) -> tuple[CalibrationError, ...]:
    """The calibration error of each label over the scores at or above ``floor``."""
    found = []
    for column in range(len(answers.labels)):
        rows = answers.known[:, column]
        scores = answers.scores[rows, column]
        curve = reliability(scores, answers.targets[rows, column], floor=floor, bins=bins)
        count = int(curve.counts.sum())
        error, by_chance = float("nan"), float("nan")
        if count >= MIN_SCORES:
            error, by_chance = curve.error(), curve.error_by_chance()
        share = count / len(scores) if len(scores) else float("nan")
        found.append(CalibrationError(error, by_chance, count, share))
    return tuple(found)


def pooled(answers: Answers, *, floor: float = FLOOR, bins: int = BINS) -> Reliability:
    """The reliability of all labels together."""
    return reliability(answers.scores[answers.known], answers.targets[answers.known], floor=floor, bins=bins)
