"""Every write of the job table: issue, publish, close; and keeping what the queue gave up."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Q
from django.utils import timezone

from dam.jobs.models import DeadLetter, Round, TaggingJob
from pipeline.messages import Purpose, TagRequest
from pipeline.ports import Message, Publisher, QueueFullError
from pipeline.topology import BULK, request_queue

# The relay listens here; the notification leaves with the commit that makes the job visible.
WAKE_CHANNEL = "vitrine_jobs"
# Rows that are read, locked and published at once: more costs memory and makes people wait longer.
BATCH = 500


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
        # As its queue has it, so that a full one holds up nothing that goes to the other.
        bulk=request_queue(Purpose(purpose), bulk=bulk) == BULK,
        model_label=model_label,
        blob_key=blob_key,
        sha256=sha256,
        media_type=media_type,
        request_id=request_id,
        requested_by_id=requested_by_id,
    )
    with connection.cursor() as cursor:
        _wake_relays(cursor)
    return job


def _wake_relays(cursor: CursorWrapper) -> None:
    cursor.execute("SELECT pg_notify(%s, '')", [WAKE_CHANNEL])


def jobs_publish(*, publisher: Publisher, limit: int = BATCH, bulk: bool | None = None) -> int:
    """Publish up to ``limit`` queued jobs, then mark them, in one transaction; returns how many.

    Several relays may run: each locks other rows. A crash between the broker's confirmation and the
    commit publishes those jobs again, which is harmless (the generation absorbs the second answer).

    Args:
        publisher: of the queues.
        limit: rows that are read, locked and published at once.
        bulk: only those that nobody waits for, or only the others; None takes people's first.

    Raises:
        QueueFullError: what the queues took is published and marked; what they refused stays queued.
        TransportDownError: nothing is marked; the jobs stay queued.
    """
    full: QueueFullError | None = None
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_QUEUED.format(lane="" if bulk is None else _LANES[bulk]), [limit])
        jobs = [_Queued(*row) for row in cursor.fetchall()]
        if not jobs:
            return 0
        try:
            publisher.publish([_message(job) for job in jobs])
        except QueueFullError as error:
            full = error
        refused = full.refused if full else frozenset()
        cursor.execute(_MARK, [[job.id for place, job in enumerate(jobs) if place not in refused]])
    # Only now, for raising inside the block would take the marks back.
    if full:
        raise full
    return len(jobs)


class _Queued(NamedTuple):
    """What a message needs of a job; a model instance for each would cost more than its message."""

    id: int
    generation: int
    purpose: str
    bulk: bool
    asset_id: int | None
    blob_key: str
    sha256: str
    media_type: str
    model_label: str
    request_id: str
    created_at: datetime


# Plain SQL for its speed. The state and the lane are literals, so that the planner knows that the small
# partial index ``job_queued`` answers, in the order asked for, however many jobs there are.
_QUEUED = f"""
SELECT {", ".join(_Queued._fields)} FROM jobs_taggingjob
WHERE state = 'queued' {{lane}}
ORDER BY bulk, id LIMIT %s FOR UPDATE SKIP LOCKED
"""  # noqa: S608  # names of this module only
_LANES = {True: "AND bulk", False: "AND NOT bulk"}
_MARK = """
UPDATE jobs_taggingjob SET state = 'published', published_at = now(), attempts = attempts + 1
WHERE id = ANY(%s)
"""


def _message(job: _Queued) -> Message:
    purpose = Purpose(job.purpose)
    request = TagRequest(
        job_id=job.id,
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
        message_id=f"{job.id}.{job.generation}",
    )


def jobs_publish_again(*, published_before: timedelta, dry_run: bool = False) -> int:
    """Queue again what was published that long ago and is not answered; returns how many.

    A broker cannot be listed without consuming it, so nobody knows whether such a message still waits or
    is lost. The job keeps its generation, so of two answers the second changes nothing.
    """
    if dry_run:
        cutoff = timezone.now() - published_before
        return TaggingJob.objects.filter(state=TaggingJob.State.PUBLISHED, published_at__lt=cutoff).count()
    count = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_QUEUE_AGAIN, [published_before.total_seconds(), BATCH])
            if not cursor.rowcount:
                return count
            count += cursor.rowcount
            _wake_relays(cursor)


# What is locked is being answered at this moment.
_QUEUE_AGAIN = """
UPDATE jobs_taggingjob SET state = 'queued' WHERE id = ANY(ARRAY(
    SELECT id FROM jobs_taggingjob
    WHERE state = 'published' AND published_at < now() - make_interval(secs => %s)
    ORDER BY published_at LIMIT %s FOR UPDATE SKIP LOCKED
)) AND state = 'published'
"""


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
    """
    digest = hashlib.sha256()
    for part in (queue.encode(), message_id.encode(), str(generation).encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    named = Q(pk=job_id, generation=generation) if job_id and generation else Q(pk__in=())
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


def round_begin(*, name: str, every: timedelta) -> bool:
    """Whether the regular round is due, and the caller's to do: of many relays one gets True."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN_ROUND, [name, every.total_seconds()])
        begun: int = cursor.rowcount
    return begun == 1


def round_give_back(*, name: str) -> None:
    """The round could not be done; it is due again at once."""
    Round.objects.filter(pk=name).delete()


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
