"""A comparison of two versions, put in order for the page *Models*: what matters first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.library.figures import difference, duration, share, verdict
from dam.rollout.comparison import Comparison, Measure, TagChange, TagEvidence
from dam.rollout.facts import TagName
from dam.rollout.intervals import Interval
from dam.rollout.models import Rollout
from dam.search.selectors import assets_by_id
from dam.tagging.models import ModelVersion

# Rows that are open at once; tags that surely differ are all among them.
_ROWS, _MORE_ROWS = 10, 100
_CHANGES = 6
# The ends of the plots: small differences look small, and one wide interval leaves room for the others.
_LEAST_SCALE, _MOST_SCALE = 0.1, 0.5
_STEP = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """One number of both versions, with the interval of its difference."""

    name: str
    before: str
    after: str
    known: bool
    interval: Interval | None
    verdict: str
    text: str
    limit: float | None = None
    """The loss that the gate allows."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A tag that people decided on."""

    tag: TagName
    reviews: int
    pairs: tuple[Pair, Pair]

    @property
    def rank(self) -> int:
        """Surely worse first, then surely better, then what may differ, then what cannot be told."""
        verdicts = {pair.verdict for pair in self.pairs}
        if "worse" in verdicts:
            return 0
        if "better" in verdicts:
            return 1
        return 2 if any(pair.interval for pair in self.pairs) else 3


@dataclass(frozen=True, slots=True)
class Change:
    """A tag that more or fewer pictures show, with some of them."""

    tag: TagName
    count: int
    assets: tuple[Asset, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """The tags that changed most, and how many more there are."""

    most: tuple[Change, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page says of a comparison."""

    champion: ModelVersion
    challenger: ModelVersion
    text: str
    notes: tuple[str, ...]
    overall: tuple[Pair, ...]
    overall_scale: float
    """What the ends of the plots mean."""
    scale: float
    """The same for single tags."""
    rows: tuple[Row, ...]
    more_rows: tuple[Row, ...]
    other_rows: int
    """How many are not even among these."""
    untold: tuple[TagName, ...]
    gained: Changes
    lost: Changes


def comparison_shown(
    comparison: Comparison, rollout: Rollout, *, user: User, notes: Sequence[str] = ()
) -> Shown:
    """The comparison with the tags in order, and pictures that the user may see."""
    rows = sorted(map(_row, comparison.tags), key=lambda row: row.rank)
    opened = max(sum(row.rank < 2 for row in rows), min(_ROWS, sum(row.rank < 3 for row in rows)))
    changes = [*(tag.change for tag in comparison.tags), *comparison.unreviewed_tags]
    overall = (
        _pair(
            "Precision",
            comparison.precision,
            limit=rollout.most_precision_lost,
            hint="of what it shows, so much is right",
        ),
        _pair(
            "Recall",
            comparison.recall,
            limit=rollout.most_recall_lost,
            hint="of what is right, it shows so much",
        ),
    )
    return Shown(
        champion=comparison.champion,
        challenger=comparison.challenger,
        text=_text(comparison),
        notes=tuple(notes),
        overall_scale=_scale(overall),
        scale=_scale(chain(*(row.pairs for row in rows))),
        overall=(*overall, _time(comparison)),
        rows=tuple(rows[:opened]),
        more_rows=tuple(rows[opened : opened + _MORE_ROWS]),
        other_rows=max(0, len(rows) - opened - _MORE_ROWS),
        untold=tuple(change.tag for change in comparison.unreviewed_tags),
        gained=_most(changes, user, count=lambda change: change.gained, on=lambda change: change.gained_on),
        lost=_most(changes, user, count=lambda change: change.lost, on=lambda change: change.lost_on),
    )


def _text(comparison: Comparison) -> str:
    if not comparison.pictures:
        return "There is no picture yet that both have answered."
    many = "" if comparison.pictures == 1 else "s"
    text = f"Both have answered {comparison.pictures:,} picture{many}. "
    if not comparison.reviews:
        return text + "People have decided on none of their tags yet: accept and reject some to know more."
    tags = "" if comparison.reviews == 1 else "s"
    return text + (
        f"People decided on {comparison.reviews:,} tag{tags} of {comparison.reviewed_pictures:,} of them, "
        "and that is what both are measured by."
    )


def _row(evidence: TagEvidence) -> Row:
    return Row(
        tag=evidence.change.tag,
        reviews=evidence.reviews,
        pairs=(_pair("Precision", evidence.precision), _pair("Recall", evidence.recall)),
    )


def _pair(name: str, measure: Measure, *, limit: float | None = None, hint: str = "") -> Pair:
    before, after = measure.champion.interval, measure.challenger.interval
    first, second = (share(each.estimate if each else None) for each in (before, after))
    return Pair(
        name=name,
        hint=hint,
        # One unit is enough where both have it.
        before=first.removesuffix(" %") if second.endswith(" %") else first,
        after=second,
        known=before is not None or after is not None,
        interval=measure.difference,
        verdict=verdict(measure.difference),
        text=difference(measure.difference),
        limit=limit,
    )


def _time(comparison: Comparison) -> Pair:
    times = comparison.predict_ms
    ratio = times.ratio
    return Pair(
        name="Time for a picture",
        before=duration(times.champion),
        after=duration(times.challenger),
        known=True,
        interval=None,
        verdict="open",
        text="not known of both" if ratio is None else _ratio_text(ratio),
    )


def _ratio_text(ratio: float) -> str:
    percent = round(abs(ratio - 1) * 100)
    if percent == 0:
        return "as fast"
    return f"{percent} % {'slower' if ratio > 1 else 'faster'}"


def _scale(pairs: Iterable[Pair]) -> float:
    widest = max(
        (max(abs(pair.interval.low), abs(pair.interval.high)) for pair in pairs if pair.interval),
        default=0.0,
    )
    return min(_MOST_SCALE, max(_LEAST_SCALE, -(-widest // _STEP) * _STEP))


def _most(
    changes: Iterable[TagChange],
    user: User,
    *,
    count: Callable[[TagChange], int],
    on: Callable[[TagChange], Iterable[int]],
) -> Changes:
    changed = sorted(filter(count, changes), key=lambda change: (-count(change), change.tag.name))
    most = changed[:_CHANGES]
    named = sorted({pk for change in most for pk in on(change)})
    assets = {asset.pk: asset for asset in assets_by_id(user=user, ids=named)}
    return Changes(
        tuple(
            Change(change.tag, count(change), tuple(assets[pk] for pk in on(change) if pk in assets))
            for change in most
        ),
        others=len(changed) - len(most),
    )
