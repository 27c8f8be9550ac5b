"""The results writer: takes answers and dead letters from the broker into the catalogue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, transaction

from dam.jobs.services import dead_letter_keep
from dam.loops.backoff import Backoff
from dam.loops.results_reading import Entry, complaint, read_all
from dam.tagging.services import answers_record
from dam.tagging.vocabulary import Vocabulary, vocabulary
from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.topology import QUEUES, RESULTS
from pipeline.transports import transport_from_url

log: Any = structlog.get_logger()

BATCH = 250
SOURCES = (RESULTS, *(queue.dead_letters for queue in QUEUES))


def run(stop: threading.Event) -> None:
    """Record until ``stop`` is set, then what was delivered; outages of database or broker are waited out."""
    backoff = Backoff()
    stopping = _Stopping(stop, settings.SHUTDOWN_DEADLINE_S)
    with transport_from_url(settings.QUEUE_URL) as transport:
        while not stopping.asked():
            try:
                transport.declare()
                with transport.consumer(SOURCES, prefetch=2 * BATCH) as consumer:
                    _record_until(stopping, consumer, backoff)
            except TransportDownError as error:
                if not stopping.asked():
                    _wait(error, stopping, backoff)


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


def _record_until(stopping: _Stopping, consumer: Consumer, backoff: Backoff) -> None:
    while not stopping.asked():
        batch = consumer.receive(limit=BATCH, wait_s=1.0)
        if batch:
            _record_patiently(consumer, batch, stopping, backoff)
        backoff.reset()
    consumer.take_no_more()
    while not stopping.is_over() and (batch := consumer.receive(limit=BATCH, wait_s=0)):
        _record_patiently(consumer, batch, stopping, backoff)


def _record_patiently(
    consumer: Consumer, batch: Sequence[Delivery], stopping: _Stopping, backoff: Backoff
) -> None:
    """Record a batch, however long the catalogue is away: giving it back would cost it an attempt."""
    while True:
        try:
            record_batch(consumer, batch)
        except (OperationalError, InterfaceError) as error:
            if stopping.is_over():
                log.warning("stopped with answers not recorded, which come again", answers=len(batch))
                return
            _wait(error, stopping, backoff)
            close_old_connections()
        else:
            return


def _wait(error: Exception, stopping: _Stopping, backoff: Backoff) -> None:
    delay = backoff.next_delay()
    log.warning("writer waits", reason=str(error).strip(), seconds=round(delay, 1))
    stopping.wait(delay)


# ------------------------------------------------------------------ a batch


def record_batch(consumer: Consumer, batch: Sequence[Delivery]) -> None:
    """Record a batch in one transaction, then ack it.

    An answer that cannot be recorded takes no neighbour with it: each is recorded by itself then, and
    that one is rejected, comes back as a dead letter, and its job fails. Dead letters are kept in the
    transaction that fails their job; one that names no job is kept too, so none stays in its queue.

    Raises:
        TransportDownError, OperationalError, InterfaceError: some are not recorded or not acked; the
            batch comes again, and recording twice changes nothing.
    """
    began = time.perf_counter()
    words = vocabulary()
    entries = read_all(batch)
    try:
        outcomes = _record(entries, words)
    except (OperationalError, InterfaceError):
        raise
    except (ValueError, DatabaseError):
        outcomes = Counter()
        for place, entry in enumerate(entries):
            entries[place], outcome = _record_alone(entry, words)
            outcomes += outcome
    accepted = [entry.delivery for entry in entries if entry.is_dead_letter or not entry.complaint]
    consumer.ack(accepted)
    for entry in entries:
        if entry.complaint and not entry.is_dead_letter:
            consumer.reject(entry.delivery, reason=entry.complaint)
            outcomes["refused"] += 1
    log.info("recorded", **outcomes, ms=round((time.perf_counter() - began) * 1000, 1))


def _record(entries: Sequence[Entry], words: Vocabulary) -> Counter[str]:
    """Record what can be read and keep what is a dead letter, all or nothing; returns what came of them."""
    with transaction.atomic():
        recorded = answers_record(answers=[entry.answer for entry in entries if entry.answer], words=words)
        letters = [entry for entry in entries if entry.is_dead_letter]
        for delivery, answer, complaint in letters:
            dead_letter_keep(
                queue=delivery.queue,
                message_id=delivery.message_id,
                body=delivery.body,
                reason=delivery.dead_reason or complaint,
                delivery_count=delivery.delivery_count,
                job_id=answer.job_id if answer else None,
                generation=answer.generation if answer else None,
            )
    return Counter(map(str, recorded)) + Counter(dead_letters=len(letters))


def _record_alone(entry: Entry, words: Vocabulary) -> tuple[Entry, Counter[str]]:
    try:
        return entry, _record([entry], words)
    except (OperationalError, InterfaceError):
        raise
    except (ValueError, DatabaseError) as error:
        log.exception("not recorded", queue=entry.delivery.queue, message_id=entry.delivery.message_id)
        senseless = entry._replace(answer=None, complaint=complaint(error))
        return senseless, _record([senseless], words)
