"""The results writer: takes answers and dead letters from the broker into the catalogue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import Error, close_old_connections, transaction

from dam.jobs.services import dead_letter_keep
from dam.loops.backoff import Backoff
from dam.loops.results_reading import Entry, complaint, read_all
from dam.schema import is_outage, reason_of
from dam.tagging.services import Recorded, answers_record
from dam.tagging.vocabulary import Vocabulary, vocabulary
from dam.telemetry.metrics import (
    ANSWERS_RECORDED,
    DEAD_LETTERS_KEPT,
    LANES,
    TIME_TO_TAGGED_SECONDS,
    begin_at_zero,
)
from dam.telemetry.process import MAX_SILENCE_S
from dam.telemetry.stages import StageClock
from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.telemetry.health import Health
from pipeline.telemetry.logs import request_ids
from pipeline.telemetry.metrics import BATCH_MESSAGES, DEPENDENCY_FAILURES, STAGE_SECONDS
from pipeline.telemetry.tracing import is_tracing, span_of_the_past
from pipeline.topology import QUEUES, RESULTS
from pipeline.transports import transport_from_url

log: Any = structlog.get_logger()

BATCH = 250
_DEAD_LETTERS, _REFUSED = "dead_letters", "refused"
SOURCES = (RESULTS, *(queue.dead_letters for queue in QUEUES))


def run(stop: threading.Event, health: Health | None = None) -> None:
    """Record until ``stop`` is set, then what was delivered.

    Outages of database or broker are waited out, and told to ``health``.
    """
    begin_at_zero(ANSWERS_RECORDED, [*Recorded, _REFUSED])
    begin_at_zero(DEAD_LETTERS_KEPT, [queue.dead_letters for queue in QUEUES])
    begin_at_zero(DEPENDENCY_FAILURES, ["receive", "write"])
    for lane in LANES:
        TIME_TO_TAGGED_SECONDS.labels(lane)
    health = health or Health(max_silence_s=MAX_SILENCE_S)
    patience = _Patience(_Stopping(stop, settings.SHUTDOWN_DEADLINE_S), health)
    stopping = patience.stopping
    with transport_from_url(settings.QUEUE_URL) as transport:
        while not stopping.asked():
            health.beat()
            try:
                transport.declare()
                with transport.consumer(SOURCES, prefetch=2 * BATCH) as consumer:
                    health.started()
                    _record_until(patience, consumer)
            except TransportDownError as error:
                if not stopping.asked():
                    patience.wait(error, "receive")


class _Stopping:
    """When to end: what was delivered is finished first, but no longer than the deadline allows.

    Giving an answer back would cost it an attempt.
    """

    def __init__(self, stop: threading.Event, deadline_s: float) -> None:
        self._stop = stop
        self._deadline_s = deadline_s
        self._until: float | None = None

    def asked(self) -> bool:
        """Whether to take no more."""
        if self._until is None and self._stop.is_set():
            self._until = time.monotonic() + self._deadline_s
        return self._until is not None

    def is_over(self) -> bool:
        """Whether to drop everything."""
        return self.asked() and self._left_s() <= 0

    def wait(self, seconds: float) -> None:
        """Let time pass; being asked to stop ends it, and so does the deadline."""
        if self.asked():
            time.sleep(max(0.0, min(seconds, self._left_s())))
        else:
            self._stop.wait(seconds)

    def _left_s(self) -> float:
        return float("inf") if self._until is None else self._until - time.monotonic()


class _Patience:
    """Waits for what is down, and says so."""

    def __init__(self, stopping: _Stopping, health: Health) -> None:
        self.stopping = stopping
        self._health = health
        self._backoff = Backoff()

    def beat(self) -> None:
        """The loop goes on."""
        self._health.beat()

    def wait(self, error: Exception, stage: str) -> None:
        """Let some time pass; every time in a row a longer one."""
        delay = self._backoff.next_delay()
        reason = reason_of(error)
        DEPENDENCY_FAILURES.labels(stage).inc()
        self._health.outage(reason)
        log.warning("writer waits", reason=reason, seconds=round(delay, 1))
        self.stopping.wait(delay)

    def over(self) -> None:
        """It answers."""
        self._backoff.reset()
        self._health.outage_over()


def _record_until(patience: _Patience, consumer: Consumer) -> None:
    stopping = patience.stopping
    while not stopping.asked():
        patience.beat()
        batch = consumer.receive(limit=BATCH, wait_s=1.0)
        if batch:
            _record_patiently(consumer, batch, patience)
        patience.over()
    consumer.take_no_more()
    while not stopping.is_over() and (batch := consumer.receive(limit=BATCH, wait_s=0)):
        _record_patiently(consumer, batch, patience)


def _record_patiently(consumer: Consumer, batch: Sequence[Delivery], patience: _Patience) -> None:
    """Record a batch, however long the catalogue is away: giving it back would cost it an attempt."""
    while True:
        patience.beat()
        try:
            record_batch(consumer, batch)
        except Error as error:
            if not is_outage(error):
                raise
            if patience.stopping.is_over():
                log.warning("stopped with answers not recorded, which come again", answers=len(batch))
                return
            patience.wait(error, "write")
            close_old_connections()
        else:
            return


# ------------------------------------------------------------------ a batch


def record_batch(consumer: Consumer, batch: Sequence[Delivery]) -> None:
    """Record a batch in one transaction, then ack it.

    An answer that cannot be recorded takes no neighbour with it: each is recorded by itself then, and
    that one is rejected, comes back as a dead letter, and its job fails. Dead letters are kept in the
    transaction that fails their job; one that names no job is kept too, so none stays in its queue.

    Raises:
        TransportDownError, django.db.Error that :func:`dam.schema.is_outage` knows: some are not recorded or
            not acked; the batch comes again, and recording twice changes nothing.
    """
    began_ns, clock = time.time_ns(), StageClock()
    words = vocabulary()
    entries = read_all(batch)
    clock.over("read")
    try:
        outcomes = _record(entries, words)
    except (ValueError, Error) as error:
        if is_outage(error):
            raise
        outcomes = Counter()
        for place, entry in enumerate(entries):
            entries[place], outcome = _record_alone(entry, words)
            outcomes += outcome
    refused = [entry for entry in entries if entry.complaint and not entry.is_dead_letter]
    outcomes[_REFUSED] += len(refused)
    clock.over("record")
    _count(entries, outcomes, clock)
    consumer.ack([entry.delivery for entry in entries if entry.is_dead_letter or not entry.complaint])
    for entry in refused:
        consumer.reject(entry.delivery, reason=entry.complaint)
    clock.over("ack")
    _trace(entries, began_ns)
    log.info(
        "recorded",
        messages=len(entries),
        **{name: number for name, number in outcomes.items() if number},
        request_ids=request_ids(entry.request_id for entry in entries),
        **clock.as_fields(),
    )


def _count(entries: Sequence[Entry], outcomes: Counter[str], clock: StageClock) -> None:
    """What the commit did. What is not acknowledged after it comes again, and changes nothing then."""
    for outcome, number in outcomes.items():
        if number and outcome != _DEAD_LETTERS:
            ANSWERS_RECORDED.labels(outcome).inc(number)
    for queue, number in Counter(entry.delivery.queue for entry in entries if entry.is_dead_letter).items():
        DEAD_LETTERS_KEPT.labels(queue).inc(number)
    BATCH_MESSAGES.labels("write", RESULTS).observe(len(entries))
    STAGE_SECONDS.labels("write", RESULTS).observe(clock.seconds["record"])


def _trace(entries: Sequence[Entry], began_ns: int) -> None:
    """A span for each answer; what is done, is done for all of them at once."""
    if not is_tracing():
        return
    ended_ns = time.time_ns()
    for entry in entries:
        span_of_the_past(
            "record",
            parent=entry.traceparent,
            began_ns=began_ns,
            ended_ns=ended_ns,
            kind="consumer",
            messaging__destination__name=entry.delivery.queue,
            messaging__batch__message_count=len(entries),
            vitrine__job_id=entry.answer.job_id if entry.answer else 0,
            vitrine__request_id=entry.request_id,
        )


def _record(entries: Sequence[Entry], words: Vocabulary) -> Counter[str]:
    """Record what can be read and keep what is a dead letter, all or nothing; returns what came of them."""
    with transaction.atomic():
        recorded = answers_record(answers=[entry.answer for entry in entries if entry.answer], words=words)
        letters = [entry for entry in entries if entry.is_dead_letter]
        for letter in letters:
            delivery, answer = letter.delivery, letter.answer
            dead_letter_keep(
                queue=delivery.queue,
                message_id=delivery.message_id,
                body=delivery.body,
                reason=delivery.dead_reason or letter.complaint,
                delivery_count=delivery.delivery_count,
                job_id=answer.job_id if answer else None,
                generation=answer.generation if answer else None,
                sha256=answer.sha256 if answer else "",
            )
    return Counter(map(str, recorded)) + Counter({_DEAD_LETTERS: len(letters)})


def _record_alone(entry: Entry, words: Vocabulary) -> tuple[Entry, Counter[str]]:
    try:
        return entry, _record([entry], words)
    except (ValueError, Error) as error:
        if is_outage(error):
            raise
        log.exception("not recorded", queue=entry.delivery.queue, message_id=entry.delivery.message_id)
        senseless = entry._replace(answer=None, complaint=complaint(error))
        return senseless, _record([senseless], words)
