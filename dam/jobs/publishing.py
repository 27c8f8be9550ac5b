"""From the job table to the broker, and back to be asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from dam.jobs.models import TaggingJob
from dam.jobs.routing import routing
from dam.telemetry.metrics import JOBS_PUBLISHED, JOBS_REFUSED
from dam.telemetry.stages import StageClock
from pipeline.messages import Purpose, TagRequest
from pipeline.ports import Message, Publisher, QueueFullError
from pipeline.telemetry.logs import request_ids
from pipeline.telemetry.metrics import BATCH_MESSAGES, STAGE_SECONDS
from pipeline.telemetry.tracing import Span, begin_span
from pipeline.topology import BULK, INTERACTIVE, SHADOW, request_queue

log: Any = structlog.get_logger()

# The relay listens here; the notification leaves with the commit that makes the job visible.
WAKE_CHANNEL = "vitrine_jobs"
# Rows that are read, locked and published at once: more costs memory and makes people wait longer.
BATCH = 500


def wake_relays(cursor: CursorWrapper) -> None:
    """Have the relays look at the table when the caller's transaction commits."""
    cursor.execute("SELECT pg_notify(%s, '')", [WAKE_CHANNEL])


def jobs_publish(*, publisher: Publisher, limit: int = BATCH, queue: str | None = None) -> int:
    """Publish up to ``limit`` queued jobs, then mark them, in one transaction; returns how many.

    Several relays may run: each locks other rows. A crash between the broker's confirmation and the
    commit publishes those jobs again, which is harmless (the generation absorbs the second answer).

    Jobs that ask for no version are given to the one that :mod:`dam.jobs.routing` says. Who was given to
    the version on trial keeps its label, so that it stays with it.

    Args:
        publisher: of the queues.
        limit: rows that are read, locked and published at once.
        queue: only those that go to this queue of requests; None takes people's first.

    Raises:
        QueueFullError: what the queues took is published and marked; what they refused stays queued.
        TransportDownError: nothing is marked; the jobs stay queued.
    """
    full: QueueFullError | None = None
    clock = StageClock()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_QUEUED.format(lane="" if queue is None else _LANES[queue]), [limit])
        jobs = [_Queued(*row) for row in cursor.fetchall()]
        if not jobs:
            return 0
        routes = routing()
        labels = [
            routes.label_of(purpose=job.purpose, asset_id=job.asset_id, model_label=job.model_label)
            for job in jobs
        ]
        clock.over("read")
        with _spans(jobs) as spans:
            try:
                publisher.publish([_message(*each) for each in zip(jobs, labels, spans, strict=True)])
            except QueueFullError as error:
                full = error
            refused = full.refused if full else frozenset()
            for place in refused:
                spans[place].failed("the queue is full")
        clock.over("publish")
        went = [pair for place, pair in enumerate(zip(jobs, labels, strict=True)) if place not in refused]
        cursor.execute(_MARK, [[job.id for job, _ in went]])
        on_trial = [job.id for job, label in went if label not in {job.model_label, routes.live_label}]
        if on_trial:
            cursor.execute(_KEEP_LABEL, [routes.trial_label, on_trial])
    clock.over("mark")
    _tell(jobs, refused, clock)
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
    traceparent: str
    created_at: datetime

    @property
    def queue(self) -> str:
        """Where its message goes."""
        return request_queue(Purpose(self.purpose), bulk=self.bulk)


# Plain SQL for its speed. The state and the lane are literals, so that the planner knows that the small
# partial index ``job_queued`` answers, in the order asked for, however many jobs there are.
_QUEUED = f"""
SELECT {", ".join(_Queued._fields)} FROM jobs_taggingjob
WHERE state = 'queued' {{lane}}
ORDER BY bulk, id LIMIT %s FOR UPDATE SKIP LOCKED
"""  # noqa: S608  # names of this module only
# What goes to the last queue is little, and has an index of its own (``job_shadow_open``).
_LANES = {
    INTERACTIVE: "AND NOT bulk",
    BULK: "AND bulk AND purpose <> 'shadow'",
    SHADOW: "AND bulk AND purpose = 'shadow'",
}
_MARK = """
UPDATE jobs_taggingjob
SET state = 'published', published_at = now(), attempts = attempts + 1, reason = ''
WHERE id = ANY(%s)
"""
_KEEP_LABEL = "UPDATE jobs_taggingjob SET model_label = %s WHERE id = ANY(%s)"


@contextmanager
def _spans(jobs: Sequence[_Queued]) -> Iterator[list[Span]]:
    """One for each job, as long as they are being published."""
    spans = [
        begin_span(
            "publish",
            parent=job.traceparent,
            kind="producer",
            messaging__destination__name=job.queue,
            vitrine__job_id=job.id,
            vitrine__request_id=job.request_id,
        )
        for job in jobs
    ]
    try:
        yield spans
    except Exception as error:
        for span in spans:
            span.failed(type(error).__name__)
        raise
    finally:
        for span in spans:
            span.end()


def _tell(jobs: Sequence[_Queued], refused: AbstractSet[int], clock: StageClock) -> None:
    """The line of a batch, and its metrics by queue."""
    went = Counter(job.queue for place, job in enumerate(jobs) if place not in refused)
    stayed = Counter(jobs[place].queue for place in refused)
    for queue in went.keys() | stayed.keys():
        JOBS_PUBLISHED.labels(queue).inc(went[queue])
        JOBS_REFUSED.labels(queue).inc(stayed[queue])
        BATCH_MESSAGES.labels("publish", queue).observe(went[queue] + stayed[queue])
        STAGE_SECONDS.labels("publish", queue).observe(clock.seconds["publish"])
    if went:
        log.info(
            "published",
            queues=dict(went),
            jobs=went.total(),
            refused=stayed.total(),
            request_ids=request_ids(job.request_id for job in jobs),
            **clock.as_fields(),
        )


def _message(job: _Queued, label: str, span: Span) -> Message:
    purpose = Purpose(job.purpose)
    request = TagRequest(
        job_id=job.id,
        generation=job.generation,
        purpose=purpose,
        asset_id=job.asset_id,
        blob_key=job.blob_key,
        sha256=job.sha256,
        media_type=job.media_type,
        model_label=label,
        renditions=purpose in {Purpose.LIVE, Purpose.CAMPAIGN},
        request_id=job.request_id,
        traceparent=span.traceparent,
        requested_at=job.created_at,
    )
    return Message(
        queue=job.queue,
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
            wake_relays(cursor)


# What is locked is being answered at this moment.
_QUEUE_AGAIN = """
UPDATE jobs_taggingjob SET state = 'queued', reason = '' WHERE id = ANY(ARRAY(
    SELECT id FROM jobs_taggingjob
    WHERE state = 'published' AND published_at < now() - make_interval(secs => %s)
    ORDER BY published_at LIMIT %s FOR UPDATE SKIP LOCKED
)) AND state = 'published'
"""


def jobs_ask_again_withdrawn() -> int:
    """Queue again what a withdrawn version answered, so that another one answers; returns how many jobs.

    They ask for what is in service then, whatever they asked for before. Call it when that is another
    version: what is asked again of the same one comes back the same way.
    """
    count = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_ASK_AGAIN, [BATCH])
            if not cursor.rowcount:
                return count
            count += cursor.rowcount
            wake_relays(cursor)


_ASK_AGAIN = """
UPDATE jobs_taggingjob SET state = 'queued', reason = '', model_label = '' WHERE id = ANY(ARRAY(
    SELECT id FROM jobs_taggingjob
    WHERE state = 'published' AND reason = 'withdrawn'
    ORDER BY published_at LIMIT %s FOR UPDATE SKIP LOCKED
)) AND state = 'published'
"""
