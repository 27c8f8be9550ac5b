"""Undoing a model version: what people see follows from the other versions' answers, and from decisions.

A version is withdrawn or reinstated in a moment: from then on none of its answers counts, or all do again.
What was derived before follows, asset by asset in the order of their ids; whoever stops it half-way loses
nothing, for the version keeps how far it is. Predictions and decisions are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from django.db import connection, transaction
from django.utils import timezone

from dam.assets.services import assets_request_tags
from dam.jobs.models import TaggingJob
from dam.tagging.bulk_sql import rows_read
from dam.tagging.claims import assets_derive
from dam.tagging.known_models import models_hold_alone
from dam.tagging.models import ModelVersion
from dam.tagging.vocabulary import vocabulary

# Assets that follow in one transaction: each is locked until it ends.
AT_ONCE = 200


def version_withdraw(*, version: ModelVersion) -> None:
    """Let nothing follow from a version's answers any more, in the caller's transaction.

    Waits for answers that are being recorded, and none is recorded until the transaction ends. A version
    that is withdrawn already stays as it is.
    """
    models_hold_alone()
    standing = ModelVersion.objects.filter(pk=version.pk, withdrawn_at__isnull=True)
    standing.update(withdrawn_at=timezone.now(), followed_to=0)
    version.refresh_from_db(fields=["withdrawn_at", "followed_to"])


def version_reinstate(*, version: ModelVersion) -> None:
    """Let a withdrawn version's answers count again, in the caller's transaction, which waits as above."""
    models_hold_alone()
    withdrawn = ModelVersion.objects.filter(pk=version.pk, withdrawn_at__isnull=False)
    withdrawn.update(withdrawn_at=None, followed_to=0)
    version.refresh_from_db(fields=["withdrawn_at", "followed_to"])


def version_follow(*, version: ModelVersion, limit: int = AT_ONCE) -> int:
    """Derive the next assets that a withdrawn or reinstated version answered; returns how many.

    An asset without any other answer becomes pending, with a job that nobody waits for; one that has an
    answer again becomes tagged. 0: none is left, or somebody else is doing it at this moment.
    """
    with transaction.atomic():
        waiting = ModelVersion.objects.filter(pk=version.pk, followed_to__isnull=False)
        held = waiting.select_for_update(no_key=True, skip_locked=True).first()
        if held is None:
            return 0
        asset_ids = [row[0] for row in rows_read(_NEXT, held.pk, held.followed_to, limit)]
        found = assets_derive(asset_ids=asset_ids, words=vocabulary())
        _states_follow(
            answered=[each.asset_id for each in found if each.model_version_id is not None],
            unanswered=[each.asset_id for each in found if each.model_version_id is None],
        )
        held.followed_to = asset_ids[-1] if len(asset_ids) == limit else None
        held.save(update_fields=["followed_to"])
    return len(asset_ids)


def versions_follow(
    *, should_stop: Callable[[], bool] = bool, advance: Callable[[int], None] = lambda _count: None
) -> int:
    """Derive what follows from every withdrawal and return so far; returns how many assets.

    Args:
        should_stop: asked before each batch; what is left is done by the next call.
        advance: told how many assets a batch had.
    """
    total = 0
    for version in ModelVersion.objects.filter(followed_to__isnull=False).order_by("pk"):
        while not should_stop() and (count := version_follow(version=version)):
            total += count
            advance(count)
    return total


def version_assets_left(*, version: ModelVersion) -> int:
    """How many assets are still to be derived for the version's withdrawal or return."""
    ((count,),) = rows_read(_LEFT, version.pk)
    return int(count)


def _states_follow(*, answered: Collection[int], unanswered: Collection[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TAGGED_AGAIN, [list(answered)])
        cursor.execute(_PENDING_AGAIN, [list(unanswered)])
        pending = [row[0] for row in cursor.fetchall()]
    if not pending:
        return
    # One that somebody asked for meanwhile will do.
    asked = {row[0] for row in rows_read(_ASKED, pending)}
    assets_request_tags(
        asset_ids=[asset_id for asset_id in pending if asset_id not in asked],
        purpose=TaggingJob.Purpose.CAMPAIGN,
    )


# Answered by the index ``prediction_by_model``, which goes on from any asset.
_NEXT = """
SELECT DISTINCT asset_id FROM tagging_prediction
WHERE model_version_id = %s AND asset_id > %s AND purpose IN ('live', 'campaign')
ORDER BY asset_id LIMIT %s
"""
_LEFT = """
SELECT count(DISTINCT fact.asset_id) FROM tagging_prediction AS fact
JOIN tagging_modelversion AS model ON model.id = fact.model_version_id
WHERE model.id = %s AND fact.asset_id > model.followed_to AND fact.purpose IN ('live', 'campaign')
"""
_TAGGED_AGAIN = """
UPDATE assets_asset SET state = 'tagged', reason = '', detail = '', updated_at = now()
WHERE id = ANY(%s) AND state <> 'tagged'
"""
_PENDING_AGAIN = """
UPDATE assets_asset SET state = 'pending', updated_at = now() WHERE id = ANY(%s) AND state = 'tagged'
RETURNING id
"""
_ASKED = """
SELECT asset.id FROM assets_asset AS asset
JOIN jobs_taggingjob AS job ON job.asset_id = asset.id AND job.asset_version_id = asset.current_version_id
WHERE asset.id = ANY(%s) AND job.state IN ('queued', 'published') AND job.purpose IN ('live', 'campaign')
"""
