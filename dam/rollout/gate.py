"""Whether the evidence is enough for a version to answer in the champion's place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dam.rollout.comparison import Comparison, Measure
from dam.rollout.models import Rollout
from dam.rollout.standing import NOTICEABLE_MS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says; ``reasons`` stand against it, ``notes`` are worth knowing. Both are sentences."""

    passes: bool
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"passes": self.passes, "reasons": list(self.reasons), "notes": list(self.notes)}


def judge(comparison: Comparison, rollout: Rollout) -> Verdict:
    """Judge by the rules in force; what cannot be told does not pass."""
    reasons = tuple(_against(comparison, rollout))
    return Verdict(passes=not reasons, reasons=reasons, notes=tuple(_notes(comparison)))


def _against(comparison: Comparison, rollout: Rollout) -> Iterator[str]:
    if comparison.challenger.withdrawn_at is not None:
        yield f"{comparison.challenger} is withdrawn."
    if comparison.pictures < rollout.min_pictures:
        yield (
            f"Both versions have answered {comparison.pictures:,} pictures; "
            f"{rollout.min_pictures:,} are needed."
        )
    if comparison.reviews < rollout.min_reviews:
        yield (
            f"People have decided on {comparison.reviews:,} tags of these pictures; "
            f"{rollout.min_reviews:,} are needed."
        )
    if comparison.reviews:
        yield from _lost("precision", comparison.precision, rollout.most_precision_lost)
        yield from _lost("recall", comparison.recall, rollout.most_recall_lost)
    times = comparison.predict_ms
    noticeable = (times.challenger or 0.0) - (times.champion or 0.0) >= NOTICEABLE_MS
    if times.ratio is not None and times.ratio > rollout.most_times_slower and noticeable:
        yield (
            f"An answer takes {times.ratio:.2f} times as long as the champion's; "
            f"{rollout.most_times_slower:g} times are allowed."
        )


def _lost(name: str, measure: Measure, most: float) -> Iterator[str]:
    difference = measure.difference
    if difference is None:
        yield f"How {name} changes cannot be told from what people decided."
    elif difference.low < -most:
        yield (
            f"{name.capitalize()} may be {-100 * difference.low:.0f} points lower (95 % interval of the "
            f"difference: {_points(difference.low)} to {_points(difference.high)}); at most "
            f"{100 * most:g} may be lost."
        )


def _points(share: float) -> str:
    """Hundredths, with a true minus."""
    rounded = f"{100 * share:+.0f}"
    return "0" if rounded in {"+0", "-0"} else rounded.replace("-", "\N{MINUS SIGN}")


def _notes(comparison: Comparison) -> Iterator[str]:
    if comparison.is_cut:
        yield (
            f"There are more pictures that both answered; compared are {comparison.pictures:,}, "
            "those that people decided on first, then the newest."
        )
    if comparison.unknown_of_challenger:
        yield (
            f"People decided nothing on {comparison.unknown_of_challenger:,} of the tags that the challenger "
            f"shows, and on {comparison.unknown_of_champion:,} of the champion's."
        )
    if comparison.left_out:
        yield f"Left out are {comparison.left_out:,} decisions on tags that neither version knows."
    if comparison.predict_ms.ratio is None:
        yield "How long answers take is not known of both."
