"""What the challenger is shown, in the shadow: a share of live traffic, and once a sample of the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection, transaction

from dam.assets.services import assets_request_tags
from dam.jobs.models import TaggingJob
from dam.jobs.routing import share_place
from dam.rollout.labels import Label
from dam.rollout.models import Rollout
from dam.rollout.serving import rollout_hold
from dam.tagging.models import ModelVersion

# So that a challenger never has more than a few minutes of work before it, whatever is uploaded.
MOST_OPEN = 500
# Live answers that are considered at once.
_AT_ONCE = 5_000


def shadow_issue(*, should_stop: Callable[[], bool] = bool) -> int:
    """Issue what the challenger is to be shown now; returns how many jobs."""
    if should_stop() or not Rollout.objects.filter(challenger__isnull=False).exists():
        return 0
    with transaction.atomic():
        rollout = rollout_hold()
        challenger = rollout.challenger
        if challenger is None or challenger.withdrawn_at is not None:
            return 0
        room = MOST_OPEN - shadow_open()
        if room <= 0:
            return 0
        # The sample first: it brings the pictures that people decided on.
        sample = _sample(rollout, challenger, room)
        traffic = _traffic(rollout, challenger, room - len(sample), sampled=set(sample))
        rollout.save(update_fields=["sampled", "shadow_cursor"])
        return assets_request_tags(
            asset_ids=sample + traffic, purpose=TaggingJob.Purpose.SHADOW, model_label=Label.CHALLENGER
        )


def shadow_open() -> int:
    """Shadow jobs that wait for an answer; counted no further than what may be open."""
    ((count,),) = _rows(_OPEN, {"most": MOST_OPEN})
    return int(count)


def _sample(rollout: Rollout, challenger: ModelVersion, room: int) -> list[int]:
    """The next of the sample: with decisions first, newest first; then a spread over the library."""
    wanted = min(room, rollout.sample_size - rollout.sampled)
    if wanted <= 0:
        return []
    facts = {"challenger": challenger.pk, "since": rollout.challenged_at, "wanted": wanted}
    chosen = _ids(_DECIDED, facts)
    if len(chosen) < wanted:
        spread = _ids(_SPREAD, facts | {"wanted": wanted - len(chosen)})
        chosen += [asset_id for asset_id in spread if asset_id not in set(chosen)]
    # Nothing left that it has not seen: the sample is the whole library.
    rollout.sampled = rollout.sampled + len(chosen) if chosen else rollout.sample_size
    return chosen


def _traffic(rollout: Rollout, challenger: ModelVersion, room: int, *, sampled: set[int]) -> list[int]:
    """Assets that were answered since the last look and fall into the share; moves the cursor."""
    chosen: dict[int, None] = {}
    facts = {
        "challenger": challenger.pk,
        "since": rollout.challenged_at,
        "cursor": rollout.shadow_cursor,
        "most": _AT_ONCE,
    }
    for answer_id, asset_id, unseen in _rows(_ANSWERED, facts):
        if len(chosen) == room:
            break
        rollout.shadow_cursor = answer_id
        place = share_place(asset_id, salt=f"shadow {challenger.pk}")
        if unseen and place < rollout.shadow_share and asset_id not in sampled:
            chosen[asset_id] = None
    return list(chosen)


def _ids(statement: str, facts: Mapping[str, Any]) -> list[int]:
    return [row[0] for row in _rows(statement, facts)]


def _rows(statement: str, facts: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, facts)
        return list(cursor.fetchall())


_OPEN = """
SELECT count(*) FROM (
    SELECT FROM jobs_taggingjob WHERE purpose = 'shadow' AND state IN ('queued', 'published')
    LIMIT %(most)s) AS open
"""
# Not answered by the challenger for its current file, and not asked of it yet.
_UNSEEN = """
NOT EXISTS (
    SELECT FROM tagging_prediction AS seen
    WHERE seen.asset_version_id = asset.current_version_id AND seen.model_version_id = %(challenger)s)
AND NOT EXISTS (
    SELECT FROM jobs_taggingjob AS job
    WHERE job.asset_id = asset.id AND job.purpose = 'shadow' AND job.created_at >= %(since)s)
"""
_DECIDED = f"""
SELECT asset.id FROM tagging_decision AS decision JOIN assets_asset AS asset ON asset.id = decision.asset_id
WHERE asset.state = 'tagged' AND {_UNSEEN}
GROUP BY asset.id ORDER BY max(decision.decided_at) DESC LIMIT %(wanted)s
"""  # noqa: S608  # names of this module only
# From evenly spread ids on, the next asset each; not far, so that no library is walked through.
_SPREAD = f"""
WITH edges AS (SELECT min(id) AS first, max(id) AS last FROM assets_asset)
SELECT DISTINCT found.id
FROM edges CROSS JOIN generate_series(0, %(wanted)s - 1) AS place
CROSS JOIN LATERAL (
    SELECT asset.id FROM assets_asset AS asset
    WHERE asset.id >= edges.first + (edges.last - edges.first + 1) * place / %(wanted)s
    AND asset.id < edges.first + (edges.last - edges.first + 1) * place / %(wanted)s + 200
    AND asset.state = 'tagged' AND {_UNSEEN}
    ORDER BY asset.id LIMIT 1) AS found
"""  # noqa: S608  # names of this module only
# The next answers of any purpose, so that the cursor passes what is not live too. One that commits after a
# later one is passed over: this is a share, and need not be exact.
_ANSWERED = f"""
SELECT answer.id, asset.id,
    answer.purpose = 'live' AND answer.asset_version_id = asset.current_version_id AND {_UNSEEN}
FROM (
    SELECT id, asset_id, asset_version_id, purpose FROM tagging_prediction
    WHERE id > %(cursor)s ORDER BY id LIMIT %(most)s) AS answer
JOIN assets_asset AS asset ON asset.id = answer.asset_id
ORDER BY answer.id
"""  # noqa: S608  # names of this module only
