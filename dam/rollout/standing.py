"""How a new champion stands beside what served before it: what people say, what fails, how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import QuerySet

from dam.rollout.intervals import Rate, newcombe
from dam.rollout.labels import Label
from dam.rollout.models import Rollout
from dam.tagging.bulk_sql import rows_read
from dam.tagging.claims import LIVE_PURPOSES
from dam.tagging.models import Decision, ModelVersion, Prediction

# The newest of each that are looked at.
_REVIEWS_BEFORE = 500
_REVIEWS_SINCE = 5_000
_JOBS = 2_000
_ANSWERS = 200
# Fewer jobs or answers are not judged.
_MIN_JOBS = 20
_MIN_ANSWERS = 50
# How far back answers are looked for: the predecessor served until a moment ago.
_ANSWERS_WINDOW = 200_000
# A hiccup of the machine is not the model's: of the times, the slowest tenth is left out.
_SLOWEST_LEFT_OUT = 0.1
NOTICEABLE_MS = 5.0
"""For a picture. Less comes of the size of batches: a call for many costs each of them less."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was so when the champion was promoted."""

    reviews: Rate
    """Accepted of accepted and rejected suggestions."""
    jobs: Rate
    """Failed without the picture's fault, of live jobs."""
    predict_ms: float | None
    answers: int
    """From which ``predict_ms`` follows."""
    first_job: int
    """No job below it was open then."""
    newest_answer: int
    """Predictions above it came since."""

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Baseline:
        """From the form in which it is stored."""
        rates = {name: Rate(**stored[name]) for name in ("reviews", "jobs")}
        return cls(**{**stored, **rates})


@dataclass(frozen=True, slots=True)
class Check:
    """One of the things that a new champion is watched for.

    ``change`` is the difference of two shares, between ``low`` and ``high``; for the time it is how many
    times as long, without bounds. ``room`` says how far it is from a breach, in the same unit.
    """

    name: str
    before: float | None
    before_of: int
    now: float | None
    now_of: int
    needed: int
    """Of ``now_of``: fewer are not judged."""
    limit: float
    change: float | None = None
    low: float | None = None
    high: float | None = None
    room: float | None = None
    """None: not judged."""

    @property
    def judged(self) -> bool:
        """Whether there is enough to say anything."""
        return self.room is not None

    @property
    def breached(self) -> bool:
        """Whether the champion has to go."""
        return self.room is not None and self.room < 0


@dataclass(frozen=True, slots=True)
class WatchStanding:
    """The watch over a champion."""

    champion: ModelVersion
    predecessor: ModelVersion
    since: datetime
    until: datetime
    checks: tuple[Check, ...]

    @property
    def breaches(self) -> list[str]:
        """Why it has to go, in words for people."""
        return [_sentence(check) for check in self.checks if check.breached]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "champion": str(self.champion),
            "predecessor": str(self.predecessor),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "checks": [
                asdict(check) | {"judged": check.judged, "breached": check.breached} for check in self.checks
            ],
            "breaches": self.breaches,
        }


def _sentence(check: Check) -> str:
    before, now = (100 * (share or 0.0) for share in (check.before, check.now))
    match check.name:
        case "precision":
            return (
                f"People accept {now:.0f} % of {check.now_of:,} of its suggestions, and accepted "
                f"{before:.0f} % of {check.before_of:,} before it: surely more than "
                f"{100 * check.limit:g} points less."
            )
        case "errors":
            return (
                f"{now:.1f} % of {check.now_of:,} jobs fail without the picture's fault, and "
                f"{before:.1f} % of {check.before_of:,} before it: surely more than "
                f"{100 * check.limit:g} points more."
            )
    return (
        f"It takes {check.now:.1f} ms for a picture, {check.change:.1f} times as long as the version before; "
        f"{check.limit:g} times are allowed."
    )


# ------------------------------------------------------------------ looking


def baseline_take(rollout: Rollout) -> dict[str, Any]:
    """What the champion will be watched against, as it is at its promotion, to be stored.

    Where people said little of the predecessor's suggestions, all that they said before counts, but for
    what they said of versions that were undone.
    """
    champion, predecessor, promoted_at = rollout.champion, rollout.predecessor, rollout.promoted_at
    assert champion is not None
    assert predecessor is not None
    before = Decision.objects.filter(decided_at__lte=promoted_at)
    reviews = _reviews(before.filter(model_version=predecessor), _REVIEWS_BEFORE)
    if reviews.of < rollout.watch_min_reviews:
        others = before.exclude(model_version=champion).exclude(model_version__withdrawn_at__isnull=False)
        reviews = _reviews(others, _REVIEWS_BEFORE)
    ((first_job, newest_answer),) = rows_read(_EDGES)
    times = _times(predecessor, after=newest_answer - _ANSWERS_WINDOW)
    return asdict(
        Baseline(
            reviews=reviews,
            jobs=_failed(rows_read(_JOBS_BEFORE, Label.CHALLENGER.value, promoted_at, _JOBS)),
            predict_ms=typical_ms(times),
            answers=len(times),
            first_job=first_job,
            newest_answer=newest_answer,
        )
    )


def watch_of(rollout: Rollout, *, now: datetime) -> WatchStanding | None:
    """How the champion stands; None if it is not watched, or no longer."""
    champion, predecessor, since = rollout.champion, rollout.predecessor, rollout.promoted_at
    if champion is None or predecessor is None or since is None or not rollout.baseline:
        return None
    until = since + timedelta(hours=rollout.watch_hours)
    if now >= until or champion.withdrawn_at is not None or predecessor.withdrawn_at is not None:
        return None
    before = Baseline.of(rollout.baseline)
    said = Decision.objects.filter(model_version=champion, decided_at__gt=since)
    jobs = rows_read(_JOBS_SINCE, before.first_job, Label.CHALLENGER.value, since, _JOBS)
    return WatchStanding(
        champion,
        predecessor,
        since,
        until,
        (
            _precision(before.reviews, _reviews(said, _REVIEWS_SINCE), rollout),
            _errors(before.jobs, _failed(jobs), rollout),
            _time(before, _times(champion, after=before.newest_answer), rollout),
        ),
    )


def typical_ms(times: Sequence[float]) -> float | None:
    """The mean of times in milliseconds, without the slowest tenth; None of none."""
    if not times:
        return None
    fastest_first = np.sort(np.asarray(times))
    return float(fastest_first[: max(1, int(np.ceil(len(times) * (1 - _SLOWEST_LEFT_OUT))))].mean())


def _precision(before: Rate, now: Rate, rollout: Rollout) -> Check:
    needed, limit = rollout.watch_min_reviews, rollout.watch_precision_lost
    facts = ("precision", _share(before), before.of, _share(now), now.of, needed, limit)
    if not before.of or now.of < max(needed, 1):
        return Check(*facts)
    change = newcombe(now, before)
    return Check(*facts, change.estimate, change.low, change.high, room=change.high + limit)


def _errors(before: Rate, now: Rate, rollout: Rollout) -> Check:
    limit = rollout.watch_errors_risen
    facts = ("errors", _share(before), before.of, _share(now), now.of, _MIN_JOBS, limit)
    if not before.of or now.of < _MIN_JOBS:
        return Check(*facts)
    change = newcombe(now, before)
    return Check(*facts, change.estimate, change.low, change.high, room=limit - change.low)


def _time(before: Baseline, times: Sequence[float], rollout: Rollout) -> Check:
    limit, now = rollout.watch_times_slower, typical_ms(times)
    facts = ("time", before.predict_ms, before.answers, now, len(times), _MIN_ANSWERS, limit)
    if not before.predict_ms or not now or min(before.answers, len(times)) < _MIN_ANSWERS:
        return Check(*facts)
    times_slower = now / before.predict_ms
    room = limit - times_slower
    if now - before.predict_ms < NOTICEABLE_MS:
        room = max(room, 0.0)
    return Check(*facts, times_slower, room=room)


def _share(rate: Rate) -> float | None:
    return rate.right / rate.of if rate.of else None


def _reviews(decisions: QuerySet[Decision], most: int) -> Rate:
    """What people accepted of what models suggested; what they added themselves is not a suggestion."""
    suggested = decisions.filter(verdict__in=(Decision.Verdict.ACCEPTED, Decision.Verdict.REJECTED))
    verdicts = list(suggested.order_by("-decided_at").values_list("verdict", flat=True)[:most])
    return Rate(verdicts.count(Decision.Verdict.ACCEPTED), len(verdicts))


def _failed(rows: list[tuple[Any, ...]]) -> Rate:
    ((failed, of),) = rows
    return Rate(failed, of)


def _times(version: ModelVersion, *, after: int) -> list[float]:
    answers = Prediction.objects.filter(
        pk__gt=after, model_version=version, purpose__in=LIVE_PURPOSES, predict_ms__isnull=False
    )
    return [
        ms for ms in answers.order_by("-pk").values_list("predict_ms", flat=True)[:_ANSWERS] if ms is not None
    ]


# The lists of open jobs are short and have indexes of their own; walking all jobs by id would not be.
_EDGES = """
WITH open AS MATERIALIZED (
    SELECT id FROM jobs_taggingjob WHERE state = 'queued'
    UNION ALL SELECT id FROM jobs_taggingjob WHERE state = 'published')
SELECT coalesce((SELECT min(id) FROM open), (SELECT max(id) + 1 FROM jobs_taggingjob), 0),
    coalesce((SELECT max(id) FROM tagging_prediction), 0)
"""
# What a canary answers is not the champion's.
_NEWEST = """
SELECT count(*) FILTER (WHERE state = 'failed' AND reason IN ('dead-lettered', 'unknown')), count(*) FROM (
    SELECT state, reason FROM jobs_taggingjob
    WHERE {since} purpose = 'live' AND state IN ('done', 'failed') AND model_label <> %s
    AND closed_at {when} %s
    ORDER BY id DESC LIMIT %s) AS newest
"""
_JOBS_BEFORE = _NEWEST.format(since="", when="<=")
_JOBS_SINCE = _NEWEST.format(since="id >= %s AND", when=">")
