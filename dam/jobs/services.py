"""Every write of the job table: issue, publish, close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.utils import timezone

from dam.jobs.models import TaggingJob
from pipeline.messages import Purpose, TagRequest
from pipeline.ports import Message, Publisher
from pipeline.topology import request_queue

# The relay listens here; the notification leaves with the commit that makes the job visible.
WAKE_CHANNEL = "vitrine_jobs"


def job_enqueue(  # noqa: PLR0913  # one argument for each fact that the message needs
    *,
    purpose: TaggingJob.Purpose,
    blob_key: str,
    sha256: str,
    media_type: str,
    asset_id: int | None = None,
    asset_version_id: int | None = None,
    generation: int = 1,
    bulk: bool = False,
    model_label: str = "",
    request_id: str = "",
    requested_by_id: int | None = None,
) -> TaggingJob:
    """Issue a job inside the caller's transaction and wake the relay when that commits."""
    job = TaggingJob.objects.create(
        asset_id=asset_id,
        asset_version_id=asset_version_id,
        generation=generation,
        purpose=purpose,
        bulk=bulk,
        model_label=model_label,
        blob_key=blob_key,
        sha256=sha256,
        media_type=media_type,
        request_id=request_id,
        requested_by_id=requested_by_id,
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [WAKE_CHANNEL])
    return job


def jobs_publish(*, publisher: Publisher, limit: int = 500) -> int:
    """Publish up to ``limit`` queued jobs, then mark them, in one transaction; returns how many.

    Several relays may run: each locks other rows. A crash between the broker's confirmation and the
    commit publishes those jobs again, which is harmless (the generation absorbs the second answer).

    Raises:
        TransportDownError: nothing is marked; the jobs stay queued.
    """
    with transaction.atomic():
        jobs = list(
            TaggingJob.objects.select_for_update(skip_locked=True)
            .filter(state=TaggingJob.State.QUEUED)
            .order_by("bulk", "id")[:limit]
        )
        if not jobs:
            return 0
        publisher.publish([_message(job) for job in jobs])
        now = timezone.now()
        for job in jobs:
            job.state = TaggingJob.State.PUBLISHED
            job.published_at = now
            job.attempts += 1
        TaggingJob.objects.bulk_update(jobs, ["state", "published_at", "attempts"])
    return len(jobs)


def _message(job: TaggingJob) -> Message:
    purpose = Purpose(job.purpose)
    request = TagRequest(
        job_id=job.pk,
        generation=job.generation,
        purpose=purpose,
        asset_id=job.asset_id,
        blob_key=job.blob_key,
        sha256=job.sha256,
        media_type=job.media_type,
        model_label=job.model_label,
        renditions=purpose in {Purpose.LIVE, Purpose.CAMPAIGN},
        request_id=job.request_id,
        requested_at=job.created_at,
    )
    return Message(
        queue=request_queue(purpose, bulk=job.bulk),
        body=request.model_dump_json().encode(),
        message_id=f"{job.pk}.{job.generation}",
    )


@contextmanager
def job_open_for_answer(*, job_id: int, generation: int) -> Iterator[TaggingJob | None]:
    """Lock the job that an answer belongs to; None if it is unknown or closed, so nothing may change."""
    with transaction.atomic():
        job = TaggingJob.objects.select_for_update().filter(pk=job_id, generation=generation).first()
        yield job if job is not None and job.is_open else None


def job_close(
    *, job: TaggingJob, failed: bool = False, reason: str = "", detail: str = "", answer: object = None
) -> None:
    """Close a job whose row the caller holds; a failed one needs a reason.

    Raises:
        ValueError: failed without a reason.
    """
    if failed and not reason:
        raise ValueError("a failed job needs a reason")
    job.state = TaggingJob.State.FAILED if failed else TaggingJob.State.DONE
    job.reason = reason
    job.detail = detail[:500]
    job.answer = answer
    job.closed_at = timezone.now()
    job.save(update_fields=["state", "reason", "detail", "answer", "closed_at"])
