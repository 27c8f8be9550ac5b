"""What happened lately: pictures tagged, jobs that failed, messages that the queue gave up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from dam.jobs.models import DeadLetter, TaggingJob
from dam.tagging.bulk_sql import rows_read
from dam.tagging.claims import LIVE_PURPOSES


@dataclass(frozen=True, slots=True)
class Throughput:
    """Pictures that were given tags, shadow answers and tries apart."""

    last_5_minutes: int
    last_hour: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that came to a bad end."""

    job_id: int
    asset_id: int | None
    """None: a try."""
    filename: str
    purpose: str
    reason: str
    detail: str
    at: datetime
    request_id: str


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter that nobody has settled."""

    letter_id: int
    queue: str
    reason: str
    job_id: int | None
    at: datetime


def throughput_read() -> Throughput:
    """How many pictures were tagged lately."""
    now = timezone.now()
    hour_ago, minutes_ago = now - timedelta(hours=1), now - timedelta(minutes=5)
    ((minutes, hour),) = rows_read(
        _TAGGED, minutes_ago, first_answer_since(hour_ago), hour_ago, list(LIVE_PURPOSES)
    )
    return Throughput(last_5_minutes=minutes, last_hour=hour)


def failed_jobs_newest(limit: int = 10) -> list[FailedJob]:
    """Jobs that failed, those first that failed last."""
    failed = TaggingJob.objects.filter(state=TaggingJob.State.FAILED).select_related("asset")
    return [
        FailedJob(
            job_id=job.pk,
            asset_id=job.asset_id,
            filename=job.asset.filename if job.asset is not None else "",
            purpose=job.purpose,
            reason=job.reason,
            detail=job.detail,
            at=job.closed_at,
            request_id=job.request_id,
        )
        for job in failed.order_by("-closed_at")[:limit]
        if job.closed_at is not None  # the table's own constraint
    ]


def dead_letters_newest(limit: int = 10) -> list[KeptLetter]:
    """Messages that the queue gave up and nobody has replayed or dropped, the newest first."""
    kept = DeadLetter.objects.filter(state=DeadLetter.State.KEPT).order_by("-pk")
    return [
        KeptLetter(letter.pk, letter.queue, letter.reason, letter.job_id, letter.first_seen)
        for letter in kept.defer("body")[:limit]
    ]


def first_answer_since(moment: datetime) -> int:
    """The id from which on predictions were recorded at or after ``moment``, give or take a few.

    Ids are given in the order in which answers are recorded, so the place is found by halving: some twenty
    looks at the primary key, where an index on the time would have to be kept up for every answer.
    """
    ((found,),) = rows_read(_FIRST_SINCE, moment)
    return int(found)


_FIRST_SINCE = """
WITH RECURSIVE span (low, high) AS (
    SELECT coalesce(min(id), 0), coalesce(max(id), 0) + 1 FROM tagging_prediction
    UNION ALL
    SELECT CASE WHEN is_older THEN middle + 1 ELSE low END,
        CASE WHEN is_older THEN high ELSE middle END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM span WHERE low < high) AS half
    LEFT JOIN LATERAL (
        -- Some ids are missing: the next one tells as well.
        SELECT created_at < %s AS is_older FROM tagging_prediction WHERE id >= middle ORDER BY id LIMIT 1
    ) AS look ON true
)
SELECT low FROM span WHERE low >= high
"""
_TAGGED = """
SELECT count(*) FILTER (WHERE created_at >= %s), count(*) FROM tagging_prediction
WHERE id >= %s AND created_at >= %s AND purpose = ANY(%s)
"""
