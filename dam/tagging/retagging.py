"""Campaigns: asking again for the tags that another version gave, for so many pictures at a time."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from dam.assets.models import Asset
from dam.assets.services import assets_request_tags
from dam.jobs.models import TaggingJob
from dam.tagging.claims import LIVE_PURPOSES
from dam.tagging.models import ModelVersion, Prediction

# Jobs that are issued in one transaction.
_AT_ONCE = 500

_OPEN = (TaggingJob.State.QUEUED, TaggingJob.State.PUBLISHED)


def assets_to_retag(
    *, assets: QuerySet[Asset], answered_by: ModelVersion | None = None, wanted: ModelVersion | None = None
) -> QuerySet[Asset]:
    """Those of the assets that have tags of a model and nobody has asked for again.

    Args:
        assets: to choose from.
        answered_by: only those whose tags are this version's.
        wanted: not those whose tags are this version's.
    """
    newest = Prediction.objects.filter(
        asset=OuterRef("pk"),
        asset_version=OuterRef("current_version"),
        purpose__in=LIVE_PURPOSES,
        model_version__withdrawn_at__isnull=True,
    ).order_by("-generation")
    asked = TaggingJob.objects.filter(asset=OuterRef("pk"), state__in=_OPEN, purpose__in=LIVE_PURPOSES)
    found = assets.alias(version=Subquery(newest.values("model_version")[:1])).filter(
        ~Exists(asked), version__isnull=False
    )
    if answered_by is not None:
        found = found.filter(version=answered_by.pk)
    if wanted is not None:
        found = found.exclude(version=wanted.pk)
    return found


def campaign_jobs_open() -> int:
    """Jobs of campaigns that have no answer yet."""
    return TaggingJob.objects.filter(purpose=TaggingJob.Purpose.CAMPAIGN, state__in=_OPEN).count()


def assets_retag(
    *,
    assets: QuerySet[Asset],
    model_label: str = "",
    most_open: int,
    pause: Callable[[], None],
    advance: Callable[[int], None] = lambda _count: None,
) -> int:
    """Issue a campaign job for each of the assets; returns how many.

    Whoever is stopped half-way begins again: what has an open job, or its answer, is found no more.

    Args:
        assets: as of :func:`assets_to_retag`.
        model_label: of the version that is to answer; empty: whatever is in service.
        most_open: never are more campaign jobs open than these, whoever issued them.
        pause: called while that many are open; returns when it is time to look again.
        advance: told how many jobs were issued at a time.
    """
    issued = last = 0
    while True:
        with transaction.atomic():
            # Two of us, counting at once, would each fill the room.
            _hold_campaigns()
            room = most_open - campaign_jobs_open()
            chunk = list(
                assets.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[: min(room, _AT_ONCE)]
                if room > 0
                else ()
            )
            count = assets_request_tags(
                asset_ids=chunk, purpose=TaggingJob.Purpose.CAMPAIGN, model_label=model_label
            )
        if chunk:
            last = chunk[-1]
            issued += count
            advance(count)
        elif room > 0:
            return issued
        else:
            pause()


def _hold_campaigns() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('campaign', 0))")
