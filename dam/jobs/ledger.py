"""The ledger: what became of every upload and of every job, in plain SQL.

Every asset is tagged, pending or failed with a reason; every job of an asset is queued, published,
done or failed; a pending asset has an open job, a tagged one an answer, a failed one a failed job. The
answer is one of a version that is not withdrawn, or whose withdrawal has not reached the asset yet.
Tries are no part of the sums: they belong to no asset and are swept after an hour.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import connection

from dam.jobs.models import TaggingJob

# One statement, hence one snapshot: the sums agree while the system works.
_SUMS = """
SELECT json_build_object(
    'assets', (SELECT json_object_agg(state, n) FROM (
        SELECT state, count(*) AS n FROM assets_asset GROUP BY state) s),
    'reasons', (SELECT json_object_agg(reason, n) FROM (
        SELECT reason, count(*) AS n FROM assets_asset WHERE state = 'failed' GROUP BY reason) s),
    'jobs', (SELECT json_object_agg(state, n) FROM (
        SELECT state, count(*) AS n FROM jobs_taggingjob WHERE purpose <> 'try' GROUP BY state) s),
    'forgotten', (SELECT count(*) FROM assets_asset a
        WHERE a.state = 'pending' AND NOT EXISTS (
            SELECT FROM jobs_taggingjob j WHERE j.asset_id = a.id
            AND j.state IN ('queued', 'published') AND j.purpose IN ('live', 'campaign'))),
    'unproven', (SELECT count(*) FROM assets_asset a
        WHERE a.state = 'tagged' AND NOT EXISTS (
            SELECT FROM tagging_prediction p JOIN tagging_modelversion m ON m.id = p.model_version_id
            WHERE p.asset_version_id = a.current_version_id AND p.purpose IN ('live', 'campaign')
            AND (m.withdrawn_at IS NULL OR m.followed_to < a.id))),
    'unexplained', (SELECT count(*) FROM assets_asset a
        WHERE a.state = 'failed' AND NOT EXISTS (
            SELECT FROM jobs_taggingjob j WHERE j.asset_id = a.id AND j.state = 'failed')),
    'oldest_open_s', (SELECT extract(epoch FROM now() - min(created_at)) FROM jobs_taggingjob
        WHERE state IN ('queued', 'published') AND purpose <> 'try'),
    'dead_letters', (SELECT count(*) FROM jobs_deadletter WHERE state = 'kept'))
"""


@dataclass(frozen=True)
class Ledger:
    """One consistent view of the sums."""

    assets: int
    tagged: int
    pending: int
    failed: int
    failed_by_reason: dict[str, int]
    jobs: dict[str, int]
    forgotten: int
    """Pending assets without an open job: must be 0."""
    unproven: int
    """Tagged assets without a prediction of a version that is not withdrawn: must be 0.

    A withdrawal counts for an asset from the moment on at which its claims were derived again.
    """
    unexplained: int
    """Failed assets without a failed job: must be 0."""
    oldest_open_s: float | None
    """Seconds since the oldest job was issued that has no answer; None if all have one."""
    dead_letters: int
    """Messages that the queue gave up and nobody has replayed or dropped."""
    agrees: bool = field(init=False)

    def __post_init__(self) -> None:
        sums_agree = (
            self.assets == self.tagged + self.pending + self.failed
            and self.failed == sum(self.failed_by_reason.values())
            and self.jobs["issued"] == sum(self.jobs[state] for state in TaggingJob.State.values)
        )
        exceptions = self.forgotten + self.unproven + self.unexplained
        object.__setattr__(self, "agrees", sums_agree and not exceptions)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def ledger() -> Ledger:
    """Read all sums in one snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS)
        (row,) = cursor.fetchone()
    sums = row if isinstance(row, dict) else json.loads(row)
    assets, jobs = sums["assets"] or {}, sums["jobs"] or {}
    return Ledger(
        assets=sum(assets.values()),
        tagged=assets.get("tagged", 0),
        pending=assets.get("pending", 0),
        failed=assets.get("failed", 0),
        failed_by_reason=sums["reasons"] or {},
        jobs={state: jobs.get(state, 0) for state in TaggingJob.State.values}
        | {"issued": sum(jobs.values())},
        forgotten=sums["forgotten"],
        unproven=sums["unproven"],
        unexplained=sums["unexplained"],
        oldest_open_s=sums["oldest_open_s"],
        dead_letters=sums["dead_letters"],
    )
