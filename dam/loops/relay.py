"""The relay: takes queued jobs from the job table to the broker, and does the regular rounds."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.db import Error, close_old_connections, connection

from dam.jobs.services import WAKE_CHANNEL, jobs_publish
from dam.loops.backoff import Backoff
from dam.loops.housekeeping import housekeeping
from dam.schema import is_outage, reason_of
from dam.telemetry.metrics import JOBS_PUBLISHED, JOBS_REFUSED, begin_at_zero
from dam.telemetry.process import MAX_SILENCE_S
from pipeline.ports import DependencyDownError, Publisher, QueueFullError
from pipeline.telemetry.health import Health
from pipeline.telemetry.metrics import DEPENDENCY_FAILURES
from pipeline.topology import REQUEST_QUEUES
from pipeline.transports import transport_from_url

log: Any = structlog.get_logger()

# Should a wake-up ever be missed, a job waits no longer than this.
SAFETY_POLL_S = 5.0
# In the longest rest the workers must not empty a full queue: 10,000 messages last 5,000 a second so long.
LONGEST_REST_S = 2.0


def run(stop: threading.Event, health: Health | None = None) -> None:
    """Publish until ``stop`` is set; outages of database or broker are waited out, and told to ``health``."""
    for counter in (JOBS_PUBLISHED, JOBS_REFUSED):
        begin_at_zero(counter, REQUEST_QUEUES)
    begin_at_zero(DEPENDENCY_FAILURES, ["publish"])
    backoff = Backoff()
    health = health or Health(max_silence_s=MAX_SILENCE_S)
    with transport_from_url(settings.QUEUE_URL) as transport, housekeeping():
        while not stop.is_set():
            health.beat()
            try:
                transport.declare()
                with transport.publisher() as publisher:
                    _publish_until(stop, publisher, backoff, health)
            except (DependencyDownError, Error) as error:
                if isinstance(error, Error) and not is_outage(error):
                    raise
                delay = backoff.next_delay()
                reason = reason_of(error)
                DEPENDENCY_FAILURES.labels("publish").inc()
                health.outage(reason)
                log.warning("relay waits", reason=reason, seconds=round(delay, 1))
                stop.wait(delay)
                close_old_connections()


class Lane:
    """One of the ways to the workers, each to a queue: jobs that people wait for, imports, comparisons.

    A lane whose queue is full rests, and tries again by itself; the job table keeps what the queue does
    not take. The other lanes go on meanwhile.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._rests_until = float("-inf")
        self._rests = Backoff(first_s=0.1, most_s=LONGEST_REST_S)

    @property
    def rest_s(self) -> float:
        """Seconds until it tries again; 0 if it does not rest."""
        return max(0.0, self._rests_until - time.monotonic())

    def publish(self, publisher: Publisher) -> int:
        """Publish a batch unless it rests; returns how many jobs went without a refusal.

        Raises:
            TransportDownError: the broker does not answer.
        """
        if self.rest_s:
            return 0
        try:
            published = jobs_publish(publisher=publisher, queue=self._queue)
        except QueueFullError as full:
            if self._rests_until == float("-inf"):
                log.info("queue is full", queues=sorted(full.queues))
            self._rests_until = time.monotonic() + self._rests.next_delay()
            return 0
        if published and self._rests_until > float("-inf"):
            self._rests_until = float("-inf")
            self._rests.reset()
        return published


def _publish_until(stop: threading.Event, publisher: Publisher, backoff: Backoff, health: Health) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {WAKE_CHANNEL}")
    health.started()
    lanes = [Lane(queue) for queue in REQUEST_QUEUES]
    while not stop.is_set():
        health.beat()
        _forget_wake_ups()
        # People's jobs first, and again after each batch of the others.
        published = sum(lane.publish(publisher) for lane in lanes)
        backoff.reset()
        health.outage_over()
        if published:
            continue
        rests = [lane.rest_s for lane in lanes if lane.rest_s]
        _wait_for_job(stop, at_most_s=min([SAFETY_POLL_S, *rests]))


def _forget_wake_ups() -> None:
    """What was announced until now is found by looking."""
    with connection.wrap_database_errors:
        for _ in connection.connection.notifies(timeout=0):
            pass


def _wait_for_job(stop: threading.Event, *, at_most_s: float) -> None:
    """Return when a job was queued, the time is over, or the relay is asked to stop."""
    deadline = time.monotonic() + at_most_s
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        # Short, so that a stop is noticed; a notification ends it at once. What psycopg raises becomes
        # Django's, so that an outage is waited out here as everywhere.
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=min(left, 0.5), stop_after=1):
                return
