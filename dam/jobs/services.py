"""Every write of the job table: issuing here, publishing in ``publishing``; and what the queue gave up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from dam.jobs.models import DeadLetter, Round, TaggingJob
from dam.jobs.publishing import (
    BATCH,
    WAKE_CHANNEL,
    jobs_ask_again_withdrawn,
    jobs_publish,
    jobs_publish_again,
    wake_relays,
)
from pipeline.messages import Purpose
from pipeline.telemetry.requests import current_request_id
from pipeline.telemetry.tracing import current_traceparent
from pipeline.topology import INTERACTIVE, request_queue

__all__ = [
    "WAKE_CHANNEL",
    "dead_letter_drop",
    "dead_letter_keep",
    "job_enqueue",
    "jobs_ask_again_withdrawn",
    "jobs_enqueue",
    "jobs_publish",
    "jobs_publish_again",
    "round_begin",
    "round_give_back",
]


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
    """Issue a job inside the caller's transaction and wake the relay when that commits.

    It carries on the request that this thread works for, unless it repeats one of another (``request_id``),
    and the trace that this thread is in.
    """
    job = TaggingJob.objects.create(
        asset_id=asset_id,
        asset_version_id=asset_version_id,
        generation=generation,
        purpose=purpose,
        # As its queue has it, so that a full one holds up nothing that goes to another.
        bulk=request_queue(Purpose(purpose), bulk=bulk) != INTERACTIVE,
        model_label=model_label,
        blob_key=blob_key,
        sha256=sha256,
        media_type=media_type,
        request_id=request_id or current_request_id(),
        traceparent=current_traceparent(),
        requested_by_id=requested_by_id,
    )
    with connection.cursor() as cursor:
        wake_relays(cursor)
    return job


def jobs_enqueue(*, jobs: Iterable[TaggingJob]) -> int:
    """Issue many unsaved jobs that nobody waits for, in the caller's transaction; returns how many.

    The relay is woken once, when that commits. As for :func:`job_enqueue`, they carry on request and trace.
    """
    made = list(jobs)
    for job in made:
        job.bulk = True
        job.request_id = job.request_id or current_request_id()
        job.traceparent = current_traceparent()
    TaggingJob.objects.bulk_create(made, batch_size=BATCH)
    if made:
        with connection.cursor() as cursor:
            wake_relays(cursor)
    return len(made)


# ------------------------------------------------------------- dead letters


def dead_letter_keep(  # noqa: PLR0913  # one argument for each fact that is kept
    *,
    queue: str,
    message_id: str,
    body: bytes,
    reason: str,
    delivery_count: int,
    job_id: int | None,
    generation: int | None,
    sha256: str = "",
) -> DeadLetter:
    """Keep a message of a dead-letter queue, in the caller's transaction; the same message only once.

    Args:
        queue: the dead-letter queue that it was read from.
        message_id: the publisher's, or empty.
        body: as it was read, whether or not anybody can make sense of it.
        reason: why the queue gave it up.
        delivery_count: how often it was delivered.
        job_id: the job that the message names; one that does not exist is kept as None.
        generation: of that job; None if nobody can read the message.
        sha256: of the picture that it is about, if it says so; a job of another one is not what it names.
    """
    digest = hashlib.sha256()
    for part in (queue.encode(), message_id.encode(), str(generation).encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    named = Q(pk=job_id, generation=generation) if job_id and generation else Q(pk__in=())
    if sha256:
        named &= Q(sha256=sha256)
    letter, _ = DeadLetter.objects.get_or_create(
        digest=digest.hexdigest(),
        defaults={
            "queue": queue,
            "message_id": _storable(message_id)[:255],
            "body": body,
            "reason": _storable(reason)[:500],
            "delivery_count": delivery_count,
            # The job may be gone: a try is swept after an hour, an asset may be deleted.
            "job": TaggingJob.objects.filter(named).only("pk").first(),
            "generation": generation
            if generation is not None and 0 <= generation <= _LARGEST_INTEGER
            else None,
        },
    )
    return letter


def dead_letter_drop(*, letter: DeadLetter) -> bool:
    """Settle a letter without a replay; False if it is dropped already.

    Raises:
        ValueError: it was replayed.
    """
    with transaction.atomic():
        held = DeadLetter.objects.select_for_update(of=("self",)).get(pk=letter.pk)
        if held.state == DeadLetter.State.REPLAYED:
            raise ValueError("it was replayed")
        if held.state == DeadLetter.State.DROPPED:
            return False
        held.state, held.settled_at = DeadLetter.State.DROPPED, timezone.now()
        held.save(update_fields=["state", "settled_at"])
    return True


def round_begin(*, name: str, every: timedelta, waits_first: bool = False) -> bool:
    """Whether the regular round is due, and the caller's to do: of many relays one gets True.

    ``waits_first``: where it was never begun, its clock starts now, and it is due when the period is over.
    """
    with connection.cursor() as cursor:
        if waits_first:
            cursor.execute(_START_CLOCK, [name])
        cursor.execute(_BEGIN_ROUND, [name, every.total_seconds()])
        begun: int = cursor.rowcount
    return begun == 1


def round_give_back(*, name: str, every: timedelta) -> None:
    """The round could not be done; it is due again at once."""
    # The row stays: without it the round might have to wait as if it were new.
    Round.objects.filter(pk=name).update(begun_at=F("begun_at") - every)


_START_CLOCK = "INSERT INTO jobs_round (name, begun_at) VALUES (%s, now()) ON CONFLICT (name) DO NOTHING"
_BEGIN_ROUND = """
INSERT INTO jobs_round AS round (name, begun_at) VALUES (%s, now())
ON CONFLICT (name) DO UPDATE SET begun_at = now()
WHERE round.begun_at <= now() - make_interval(secs => %s)
"""

# PostgreSQL's integer; a message of strangers may hold a larger number.
_LARGEST_INTEGER = 2**31 - 1


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL cannot keep in a text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
