"""Every read of rollouts: what serves, what was done, how versions compare, how a new champion stands."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Max, QuerySet
from django.utils import timezone

from dam.assets.models import Asset
from dam.rollout.comparison import Comparison, compare
from dam.rollout.facts import facts_read
from dam.rollout.models import Rollout, Step
from dam.rollout.shadow import shadow_open
from dam.rollout.standing import WatchStanding, watch_of
from dam.search.selectors import Count
from dam.tagging.bulk_sql import rows_read
from dam.tagging.models import ModelVersion

COUNT_BOUND = 100_000
# Asked for every few seconds, and no comparison needs more.
_ANSWERED_BOUND = 10_000


@dataclass(frozen=True, slots=True)
class VersionStanding:
    """A version and what became of its answers; numbers are counted up to a bound."""

    version: ModelVersion
    predictions: Count
    claims: Count
    """Of its tags that people see now, suggested or accepted."""
    decisions: Count
    """Of people who saw its answers."""
    followed: float | None
    """The part of the library, from 0 to 1, that follows its withdrawal or return; None: all of it."""


@dataclass(frozen=True, slots=True)
class ShadowProgress:
    """What the challenger has been shown."""

    answered: Count
    """Answers for pictures of this library, by whatever way."""
    open: int
    """Shadow jobs that wait for an answer."""
    wanted: int
    """Pictures of the sample that are still to be asked of it."""


def rollout_get() -> Rollout:
    """What is in service and the rules in force; before the first report, nothing and the rules given."""
    rows = Rollout.objects.select_related("champion", "challenger", "predecessor")
    return rows.filter(pk=1).first() or Rollout()


def step_asked() -> Step | None:
    """What the controller is asked to do and has not done yet."""
    return _steps().filter(state=Step.State.ASKED).first()


def steps_list(*, limit: int = 20) -> list[Step]:
    """What was done, asked for or refused, newest first."""
    return list(_steps()[:limit])


def _steps() -> QuerySet[Step]:
    return Step.objects.select_related("version", "before", "by").order_by("-pk")


def versions_list(*, version_id: int | None = None) -> list[VersionStanding]:
    """Every version, the newest first; or one, if there is one of that id."""
    versions = ModelVersion.objects.in_bulk(None if version_id is None else [version_id])
    last = Asset.objects.aggregate(last=Max("pk"))["last"] or 0
    return [
        VersionStanding(
            version=versions[pk],
            predictions=_count(predictions),
            claims=_count(claims),
            decisions=_count(decisions),
            followed=_followed(versions[pk], last),
        )
        for pk, predictions, claims, decisions in rows_read(
            _NUMBERS, *([COUNT_BOUND + 1] * 3), list(versions)
        )
    ]


def _followed(version: ModelVersion, last: int) -> float | None:
    return None if version.followed_to is None else min(1.0, version.followed_to / max(last, 1))


def _count(number: int, bound: int = COUNT_BOUND) -> Count:
    return Count(min(number, bound), exact=number <= bound)


def comparison_of(
    *, champion: ModelVersion, challenger: ModelVersion, user: User | None = None
) -> Comparison:
    """Both on the pictures that both have answered; samples are pictures that the user may see."""
    return compare(facts_read(champion=champion, challenger=challenger, user=user))


def watch_standing() -> WatchStanding | None:
    """How the champion stands beside its predecessor; None if it is not watched."""
    return watch_of(rollout_get(), now=timezone.now())


def shadow_progress() -> ShadowProgress | None:
    """How far the challenger is; None if there is none."""
    rollout = rollout_get()
    if rollout.challenger is None:
        return None
    ((answered,),) = rows_read(_ANSWERED, rollout.challenger.pk, _ANSWERED_BOUND + 1)
    return ShadowProgress(
        answered=_count(answered, _ANSWERED_BOUND),
        open=shadow_open(),
        wanted=max(0, rollout.sample_size - rollout.sampled),
    )


# Each counts no further than the bound: all rows of a large library would take seconds.
_NUMBERS = """
SELECT version.id,
    (SELECT count(*) FROM (
        SELECT FROM tagging_prediction WHERE model_version_id = version.id LIMIT %s) AS counted),
    (SELECT count(*) FROM (
        SELECT FROM tagging_claim WHERE model_version_id = version.id AND state <> 'rejected'
        LIMIT %s) AS counted),
    (SELECT count(*) FROM (
        SELECT FROM tagging_decision WHERE model_version_id = version.id LIMIT %s) AS counted)
FROM tagging_modelversion AS version WHERE version.id = ANY(%s)
ORDER BY version.created_at DESC, version.id DESC
"""
_ANSWERED = """
SELECT count(*) FROM (
    SELECT DISTINCT answer.asset_id FROM tagging_prediction AS answer
    JOIN assets_asset AS asset ON asset.current_version_id = answer.asset_version_id
    WHERE answer.model_version_id = %s LIMIT %s) AS counted
"""
