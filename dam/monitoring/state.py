"""What waits, what failed and what is in service, at a price that hardly grows with the library.

:func:`state_read` touches the rows of pictures that are not tagged and of jobs that are open, by their
partial indexes; of the others it counts entries of an index. What has to look at every row is
:func:`sums_read`, for those who ask seldom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dam.jobs.ledger import Ledger, ledger
from dam.jobs.models import Round
from dam.rollout.selectors import rollout_get
from dam.tagging.bulk_sql import rows_read

PENDING_AGES: Mapping[str, int] = {"0s": 0, "1m": 60, "10m": 600, "1h": 3600, "1d": 86400}
"""Ages by which waiting pictures are counted, in seconds."""

LANES = ("interactive", "bulk", "shadow")
"""Who waits: a person, an import, nobody."""


@dataclass(frozen=True, slots=True)
class AssetState:
    """Pictures by what became of them."""

    total: int
    tagged: int
    pending: int
    failed: int
    failed_by_reason: Mapping[str, int]
    pending_older_than: Mapping[str, int]
    """Pending for at least so long, by the names of :data:`PENDING_AGES`; who waits for a day is among those
    who wait for an hour. Since the oldest job was issued that is to answer, or, without one, the upload."""


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """Jobs that wait for an answer."""

    counts: Mapping[tuple[str, str], int]
    """By purpose and state (queued, published); a pair that there is none of is left out."""
    oldest_s: Mapping[tuple[str, str], float]
    """Seconds since the oldest was issued, by state and lane, for every pair; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class State:
    """One snapshot of the catalogue."""

    read_at: datetime
    """By the clock of the database."""
    assets: AssetState
    jobs: OpenJobs
    dead_letters: Mapping[str, int]
    """Kept and not settled yet, by the dead-letter queue that they were read from."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What takes a look at every row."""

    ledger: Ledger
    jobs: Mapping[tuple[str, str], int]
    """All jobs by purpose and state."""


@dataclass(frozen=True, slots=True)
class ModelInService:
    """A version and what it is there for: ``champion``, ``challenger`` or ``predecessor``."""

    name: str
    version: int
    role: str


@dataclass(frozen=True, slots=True)
class RoundBegun:
    """One of the relays' regular rounds, and when it was begun last."""

    name: str
    begun_at: datetime


def state_read() -> State:
    """What waits and what failed, in one statement and so in one snapshot."""
    # The last one is 0, beyond which there is nothing; clocks that differ make nobody wait for less.
    *ages_s, _ = sorted(map(float, PENDING_AGES.values()), reverse=True)
    ((now, total, not_tagged, waiting, jobs, letters),) = rows_read(_STATE, ages_s)
    counts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    for state, reason, number in not_tagged:
        counts[state] = counts.get(state, 0) + number
        if state == "failed":
            reasons[reason] = number
    open_jobs: dict[tuple[str, str], int] = {}
    oldest = {(state, lane): 0.0 for state in ("queued", "published") for lane in LANES}
    for purpose, state, lane, number, oldest_s in jobs:
        open_jobs[purpose, state] = open_jobs.get((purpose, state), 0) + number
        oldest[state, lane] = max(oldest[state, lane], oldest_s)
    return State(
        read_at=now,
        assets=AssetState(
            total=total,
            tagged=total - sum(counts.values()),
            pending=counts.get("pending", 0),
            failed=counts.get("failed", 0),
            failed_by_reason=reasons,
            pending_older_than={
                # So many of the ages are larger: who waits for a day waits for an hour, too.
                name: sum(number for place, number in waiting if place <= sum(s > age_s for s in ages_s))
                for name, age_s in PENDING_AGES.items()
            },
        ),
        jobs=OpenJobs(open_jobs, oldest),
        dead_letters=dict(letters),
    )


def sums_read() -> Sums:
    """The ledger and the numbers of all jobs; seconds for a library of a million pictures."""
    return Sums(ledger(), {(purpose, state): number for purpose, state, number in rows_read(_JOBS)})


def models_in_service() -> tuple[ModelInService, ...]:
    """What serves, as the controller reported it; empty before its first report."""
    rollout = rollout_get()
    return tuple(
        ModelInService(version.name, version.version, role)
        for role in ("champion", "challenger", "predecessor")
        if (version := getattr(rollout, role)) is not None
    )


def rounds_read() -> tuple[RoundBegun, ...]:
    """The regular rounds that were ever begun, by name."""
    return tuple(RoundBegun(one.name, one.begun_at) for one in Round.objects.order_by("name"))


# Every list comes as JSON, for they have to be of one snapshot and hence of one statement. The indexes say
# ``queued`` and ``published`` each for itself, so the statement does.
_STATE = """
WITH not_tagged AS MATERIALIZED (
    SELECT id, state, reason, created_at FROM assets_asset WHERE NOT state = 'tagged'
), open AS MATERIALIZED (
    SELECT asset_id, purpose, bulk, state, created_at FROM jobs_taggingjob WHERE state = 'queued'
    UNION ALL
    SELECT asset_id, purpose, bulk, state, created_at FROM jobs_taggingjob WHERE state = 'published'
), issued AS (
    SELECT asset_id, min(created_at) AS since FROM open WHERE purpose IN ('live', 'campaign') GROUP BY 1
), waiting AS (
    -- Places between the moments: 0 for what waits since before the first of them.
    SELECT width_bucket(coalesce(issued.since, asset.created_at), ARRAY(
        SELECT now() - make_interval(secs => age_s) FROM unnest(%s::float8[]) AS age_s ORDER BY age_s DESC
    )) AS place, count(*) AS number
    FROM not_tagged AS asset LEFT JOIN issued ON issued.asset_id = asset.id
    WHERE asset.state = 'pending' GROUP BY 1
), lanes AS (
    SELECT purpose, state,
        CASE WHEN purpose = 'shadow' THEN 'shadow' WHEN bulk THEN 'bulk' ELSE 'interactive' END AS lane,
        count(*) AS number, greatest(0, extract(epoch FROM now() - min(created_at))) AS oldest_s
    FROM open GROUP BY 1, 2, 3
)
SELECT now(),
    (SELECT count(*) FROM assets_asset),
    (SELECT coalesce(json_agg(json_build_array(state, reason, number)), '[]') FROM (
        SELECT state, reason, count(*) AS number FROM not_tagged GROUP BY 1, 2) AS of_state),
    (SELECT coalesce(json_agg(json_build_array(place, number)), '[]') FROM waiting),
    (SELECT coalesce(json_agg(json_build_array(purpose, state, lane, number, oldest_s)), '[]') FROM lanes),
    (SELECT coalesce(json_agg(json_build_array(queue, number)), '[]') FROM (
        SELECT queue, count(*) AS number FROM jobs_deadletter WHERE state = 'kept' GROUP BY 1) AS of_queue)
"""
_JOBS = "SELECT purpose, state, count(*) FROM jobs_taggingjob GROUP BY 1, 2"
