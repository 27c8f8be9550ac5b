"""The results writer: takes answers and dead letters from the broker into the catalogue."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, transaction

from dam.loops.backoff import Backoff
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import FailureReason, Outcome, TagRequest, TagResult
from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.topology import DEAD_SUFFIX, QUEUES, RESULTS
from pipeline.transports import transport_from_url

log: Any = structlog.get_logger()

BATCH = 100
SOURCES = (RESULTS, *(queue.dead_letters for queue in QUEUES))


def run(stop: threading.Event) -> None:
    """Record until ``stop`` is set; outages of database or broker are waited out."""
    backoff = Backoff()
    with transport_from_url(settings.QUEUE_URL) as transport:
        while not stop.is_set():
            try:
                transport.declare()
                with transport.consumer(SOURCES) as consumer:
                    while not stop.is_set():
                        batch = consumer.receive(limit=BATCH, wait_s=1.0)
                        if batch:
                            _record_patiently(consumer, batch, stop, backoff)
                        backoff.reset()
            except TransportDownError as error:
                _wait(error, stop, backoff)


def _record_patiently(
    consumer: Consumer, batch: list[Delivery], stop: threading.Event, backoff: Backoff
) -> None:
    """Record a batch, however long the catalogue is away: giving it back would cost it an attempt."""
    while True:
        try:
            record_batch(consumer, batch)
        except (OperationalError, InterfaceError) as error:
            if stop.is_set():
                return
            _wait(error, stop, backoff)
            close_old_connections()
        else:
            return


def _wait(error: Exception, stop: threading.Event, backoff: Backoff) -> None:
    delay = backoff.next_delay()
    log.warning("writer waits", reason=str(error).strip(), seconds=round(delay, 1))
    stop.wait(delay)


def record_batch(consumer: Consumer, batch: list[Delivery]) -> None:
    """Record a batch in one transaction, then ack it.

    What nobody can read, and what cannot be recorded for a reason of its own, goes to the dead
    letters and takes no neighbour with it: each answer has a savepoint of its own.

    Raises:
        TransportDownError, OperationalError, InterfaceError: nothing is recorded or nothing is acked;
            the batch comes again, and recording twice changes nothing.
    """
    began = time.perf_counter()
    outcomes: Counter[str] = Counter()
    done: list[Delivery] = []
    refused: list[tuple[Delivery, str]] = []
    words = vocabulary()
    with transaction.atomic():
        for delivery in batch:
            try:
                recorded = result_record(result=_read(delivery), words=words)
            except (OperationalError, InterfaceError):
                raise
            except (ValueError, DatabaseError) as error:
                log.exception("answer not recorded", queue=delivery.queue)
                refused.append((delivery, str(error)[:500]))
                continue
            outcomes[str(recorded)] += 1
            done.append(delivery)
    consumer.ack(done)
    for delivery, reason in refused:
        if not delivery.queue.endswith(DEAD_SUFFIX):
            consumer.reject(delivery, reason=reason)
    log.info("recorded", **outcomes, ms=round((time.perf_counter() - began) * 1000, 1))


def _read(delivery: Delivery) -> TagResult:
    """The answer in a delivery; a dead letter becomes the failed answer of its job.

    Raises:
        ValueError: the body is no message of ours (pydantic's ValidationError is one).
    """
    if not delivery.queue.endswith(DEAD_SUFFIX):
        return TagResult.model_validate_json(delivery.body)
    kind = TagResult if delivery.queue.startswith(RESULTS) else TagRequest
    dead = kind.model_validate_json(delivery.body)
    return TagResult(
        job_id=dead.job_id,
        generation=dead.generation,
        purpose=dead.purpose,
        outcome=Outcome.FAILED,
        reason=FailureReason.DEAD_LETTERED,
        detail=f"given up: {delivery.dead_reason or 'delivered too often'}",
        request_id=dead.request_id,
    )
