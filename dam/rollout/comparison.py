"""Two versions compared on the pictures of this library that both have answered.

What a version *says* of a picture is the tags that it would show by itself and all that lies above them,
by which the picture is found. People's decisions tell right from wrong; a tag that is shown and that nobody
decided on is unknown, and counted as such: the suggestions that people judged were mostly the champion's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dam.rollout.facts import Answers, Facts, TagName
from dam.rollout.intervals import Interval, Rate, paired_difference, resamples
from dam.rollout.standing import typical_ms
from dam.tagging.models import ModelVersion

DRAWS = 1_000
_MOST_SAMPLES = 6


@dataclass(frozen=True, slots=True)
class Measure:
    """A share of both versions, and by how much the challenger's is larger (95 % paired bootstrap)."""

    champion: Rate
    challenger: Rate
    difference: Interval | None
    """None where one of the shares is undefined, or people decided on too little to tell."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "champion": _rate(self.champion),
            "challenger": _rate(self.challenger),
            "difference": _interval(self.difference),
        }


@dataclass(frozen=True, slots=True)
class TagChange:
    """On how many pictures a tag is shown by either, and on which by one alone."""

    tag: TagName
    shown_by_champion: int
    shown_by_challenger: int
    gained: int
    """Pictures on which only the challenger shows it."""
    lost: int
    """Pictures on which only the champion shows it."""
    gained_on: tuple[int, ...]
    """Some of them, by asset id."""
    lost_on: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.tag.id,
            "slug": self.tag.slug,
            "name": self.tag.name,
            "shown": {"champion": self.shown_by_champion, "challenger": self.shown_by_challenger},
            "gained": self.gained,
            "lost": self.lost,
            "gained_on": list(self.gained_on),
            "lost_on": list(self.lost_on),
        }


@dataclass(frozen=True, slots=True)
class TagEvidence:
    """A tag on which people decided."""

    change: TagChange
    reviews: int
    precision: Measure
    recall: Measure

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.change.as_dict() | {
            "reviews": self.reviews,
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of the model server for a picture; None where nobody measured them."""

    champion: float | None
    """Median."""
    challenger: float | None
    ratio: float | None
    """Of the challenger's mean to the champion's, each without its slowest tenth."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Champion and challenger on the same pictures."""

    champion: ModelVersion
    challenger: ModelVersion
    pictures: int
    is_cut: bool
    """There are more pictures that both answered."""
    reviewed_pictures: int
    reviews: int
    """Decisions of people on these pictures, on tags that one of the versions knows."""
    left_out: int
    """Decisions on tags that neither knows."""
    precision: Measure
    recall: Measure
    unknown_of_champion: int
    """Tags shown that nobody decided on."""
    unknown_of_challenger: int
    gained: int
    lost: int
    predict_ms: Times
    tags: tuple[TagEvidence, ...]
    """Tags that people decided on, those first on which most was decided."""
    unreviewed_tags: tuple[TagChange, ...]
    """Tags that only machines said anything about, those first that changed most."""

    def summary(self) -> dict[str, Any]:
        """For JSON, without the single tags."""
        return {
            "champion": _version(self.champion),
            "challenger": _version(self.challenger),
            "pictures": self.pictures,
            "cut": self.is_cut,
            "reviewed_pictures": self.reviewed_pictures,
            "reviews": self.reviews,
            "left_out": self.left_out,
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
            "unknown": {"champion": self.unknown_of_champion, "challenger": self.unknown_of_challenger},
            "gained": self.gained,
            "lost": self.lost,
            "predict_ms": {
                "champion": self.predict_ms.champion,
                "challenger": self.predict_ms.challenger,
                "ratio": self.predict_ms.ratio,
            },
        }

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.summary() | {
            "tags": [tag.as_dict() for tag in self.tags],
            "unreviewed_tags": [tag.as_dict() for tag in self.unreviewed_tags],
        }


def compare(facts: Facts) -> Comparison:
    """Compare; the same facts give the same numbers, since the draws are seeded by the two versions."""
    reviewed = _Reviewed.of(facts)
    changes = _changes(facts)
    touched = set(reviewed.tags.tolist())
    evidence = [_evidence(reviewed, changes[tag_id], tag_id) for tag_id in sorted(touched)]
    return Comparison(
        champion=facts.champion.version,
        challenger=facts.challenger.version,
        pictures=len(facts.assets),
        is_cut=facts.is_cut,
        reviewed_pictures=reviewed.weights.shape[1],
        reviews=len(reviewed.tags),
        left_out=facts.left_out,
        precision=reviewed.precision(),
        recall=reviewed.recall(),
        unknown_of_champion=_unknown(facts, facts.champion),
        unknown_of_challenger=_unknown(facts, facts.challenger),
        gained=sum(change.gained for change in changes.values()),
        lost=sum(change.lost for change in changes.values()),
        predict_ms=_times(facts.champion.predict_ms, facts.challenger.predict_ms),
        tags=tuple(sorted(evidence, key=lambda tag: (-tag.reviews, tag.change.tag.name))),
        unreviewed_tags=tuple(
            sorted(
                (change for tag_id, change in changes.items() if tag_id not in touched),
                key=lambda change: (-(change.gained + change.lost), change.tag.name),
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """The decisions as arrays, one row for each, and how often each picture is drawn."""

    rows: NDArray[np.int64]
    """The picture of a decision, from 0."""
    tags: NDArray[np.int64]
    right: NDArray[np.bool_]
    champion: NDArray[np.bool_]
    """Whether the champion says this tag of this picture."""
    challenger: NDArray[np.bool_]
    weights: NDArray[np.float32]
    """Draws, pictures that people decided on."""

    @classmethod
    def of(cls, facts: Facts) -> _Reviewed:
        """All decisions of the facts."""
        assets = sorted({asset for asset, _, _ in facts.decisions})
        places = {asset: place for place, asset in enumerate(assets)}
        nothing: frozenset[int] = frozenset()

        def says(answers: Answers) -> NDArray[np.bool_]:
            return np.array(
                [tag in answers.said.get(asset, nothing) for asset, tag, _ in facts.decisions], dtype=bool
            )

        seed = (facts.champion.version.pk, facts.challenger.version.pk)
        return cls(
            rows=np.array([places[asset] for asset, _, _ in facts.decisions], dtype=np.int64),
            tags=np.array([tag for _, tag, _ in facts.decisions], dtype=np.int64),
            right=np.array([right for _, _, right in facts.decisions], dtype=bool),
            champion=says(facts.champion),
            challenger=says(facts.challenger),
            weights=resamples(rows=len(assets), draws=DRAWS, seed=seed)
            if assets
            else np.empty((DRAWS, 0), np.float32),
        )

    def precision(self, tag_id: int | None = None) -> Measure:
        """Right of those that a version says, over all decisions or those on one tag."""
        return self._measure(tag_id, lambda says, right: (says & right, says))

    def recall(self, tag_id: int | None = None) -> Measure:
        """Said by a version of those that are right."""
        return self._measure(tag_id, lambda says, right: (says & right, right))

    def _measure(self, tag_id: int | None, parts: Any) -> Measure:
        chosen = slice(None) if tag_id is None else self.tags == tag_id
        right = self.right[chosen]
        # Only the pictures with a decision of these matter: the others add nothing to either sum.
        pictures, rows = np.unique(self.rows[chosen], return_inverse=True)
        rates, sums = [], []
        for says in (self.champion[chosen], self.challenger[chosen]):
            numerator, denominator = parts(says, right)
            rates.append(Rate(int(numerator.sum()), int(denominator.sum())))
            by_picture = [
                np.bincount(rows, weights=each, minlength=len(pictures)) for each in (numerator, denominator)
            ]
            sums.append(np.stack(by_picture, axis=1).astype(np.float32))
        difference = paired_difference(self.weights[:, pictures], *sums) if len(pictures) > 1 else None
        return Measure(rates[0], rates[1], difference)


def _evidence(reviewed: _Reviewed, change: TagChange, tag_id: int) -> TagEvidence:
    return TagEvidence(
        change=change,
        reviews=int((reviewed.tags == tag_id).sum()),
        precision=reviewed.precision(tag_id),
        recall=reviewed.recall(tag_id),
    )


def _changes(facts: Facts) -> Mapping[int, TagChange]:
    """Tag → what becomes of it, for every tag that one of them shows or that people decided on."""
    shown: dict[str, Counter[int]] = {"champion": Counter(), "challenger": Counter()}
    gained: dict[int, list[int]] = {}
    lost: dict[int, list[int]] = {}
    for asset in facts.assets:
        before, after = facts.champion.shown[asset], facts.challenger.shown[asset]
        shown["champion"].update(before)
        shown["challenger"].update(after)
        for tag_id in after - before:
            gained.setdefault(tag_id, []).append(asset)
        for tag_id in before - after:
            lost.setdefault(tag_id, []).append(asset)
    return {
        tag_id: TagChange(
            tag=tag,
            shown_by_champion=shown["champion"][tag_id],
            shown_by_challenger=shown["challenger"][tag_id],
            gained=len(gained.get(tag_id, ())),
            lost=len(lost.get(tag_id, ())),
            gained_on=_samples(gained.get(tag_id, ()), facts),
            lost_on=_samples(lost.get(tag_id, ()), facts),
        )
        for tag_id, tag in facts.tags.items()
    }


def _samples(assets: Iterable[int], facts: Facts) -> tuple[int, ...]:
    return tuple([asset for asset in assets if asset in facts.visible][:_MOST_SAMPLES])


def _unknown(facts: Facts, answers: Answers) -> int:
    decided = {(asset, tag) for asset, tag, _ in facts.decisions}
    return sum((asset, tag) not in decided for asset, tags in answers.shown.items() for tag in tags)


def _times(champion: Sequence[float], challenger: Sequence[float]) -> Times:
    one, other = typical_ms(champion), typical_ms(challenger)
    return Times(
        champion=float(np.median(champion)) if champion else None,
        challenger=float(np.median(challenger)) if challenger else None,
        ratio=other / one if one and other else None,
    )


# --------------------------------------------------------------------- JSON


def _version(version: ModelVersion) -> dict[str, Any]:
    return {"id": version.pk, "name": version.name, "version": version.version}


def _rate(rate: Rate) -> dict[str, Any]:
    interval = rate.interval
    return {
        "right": rate.right,
        "of": rate.of,
        "value": interval and interval.estimate,
        "low": interval and interval.low,
        "high": interval and interval.high,
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
