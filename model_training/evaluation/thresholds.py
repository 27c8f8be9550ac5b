"""Where a tag starts to be shown: the lowest score at which it is proven to be right often enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model_training.evaluation.answers import Mask, Matrix

DEFAULT_THRESHOLD = 0.5
"""Of a label with too few positives to find its own: shown where it is more likely than not."""
_Z = 1.96  # 95 %


def wilson(right: int, shown: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    if shown == 0:
        return 0.0, 1.0
    share, square = right / shown, _Z**2
    centre = share + square / (2 * shown)
    spread = _Z * math.sqrt(share * (1 - share) / shown + square / (4 * shown**2))
    return (centre - spread) / (1 + square / shown), (centre + spread) / (1 + square / shown)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a label starts to be shown, and how often it was right there."""

    value: float
    right: int
    shown: int
    low: float
    """The lower end of the 95 % interval of the precision."""


def threshold_for(scores: Matrix, targets: Mask, precision: float) -> Threshold | None:
    """The lowest threshold whose precision is proven: its interval does not reach below what is asked.

    Asking that of the interval and not of the share itself pays for choosing the threshold on the same
    pictures: for a precision of 0.8, at least 16 pictures must be shown, all of them right.

    Args:
        scores: Of one label, ``[pictures]``, known ones only.
        targets: Which of them have it.
        precision: What is asked, 0…1.

    Returns:
        None where no threshold proves it: too few pictures, or the label is told too badly.
    """
    order = (-scores).argsort(kind="stable")
    ranked, hits = scores[order], targets[order]
    found = None
    right = 0
    for position, (score, hit) in enumerate(zip(ranked.tolist(), hits.tolist(), strict=True)):
        right += hit
        shown = position + 1
        # Equal scores are shown together; and below the last positive there is nothing to gain.
        if shown < len(ranked) and ranked[shown] == score:
            continue
        low = wilson(right, shown)[0]
        if low >= precision and (found is None or right > found.right):
            found = Threshold(score, right, shown, low)
    return found
