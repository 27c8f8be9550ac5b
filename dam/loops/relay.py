"""The relay: takes queued jobs from the job table to the broker."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from dam.assets.storage import blob_store
from dam.jobs.services import WAKE_CHANNEL, jobs_publish
from dam.loops.backoff import Backoff
from dam.tagging.services import tries_sweep
from pipeline.ports import DependencyDownError
from pipeline.transports import transport_from_url

log: Any = structlog.get_logger()

# Should a wake-up ever be missed, a job waits no longer than this.
SAFETY_POLL_S = 5.0
SWEEP_EVERY_S = 300.0
INTERRUPTED_FOR_S = 86_400.0


def run(stop: threading.Event) -> None:
    """Publish until ``stop`` is set; outages of database or broker are waited out."""
    backoff = Backoff()
    with transport_from_url(settings.QUEUE_URL) as transport:
        while not stop.is_set():
            try:
                transport.declare()
                with transport.publisher() as publisher:
                    _publish_until(stop, publisher, backoff)
            except (DependencyDownError, OperationalError, InterfaceError) as error:
                delay = backoff.next_delay()
                log.warning("relay waits", reason=str(error).strip(), seconds=round(delay, 1))
                stop.wait(delay)
                close_old_connections()


def _publish_until(stop: threading.Event, publisher: Any, backoff: Backoff) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {WAKE_CHANNEL}")
    swept_at = time.monotonic()
    while not stop.is_set():
        began = time.perf_counter()
        published = jobs_publish(publisher=publisher)
        backoff.reset()
        if published:
            log.info("published", jobs=published, ms=round((time.perf_counter() - began) * 1000, 1))
            continue
        if time.monotonic() - swept_at > SWEEP_EVERY_S:
            swept_at = time.monotonic()
            _sweep()
        _wait_for_job(stop)


def _sweep() -> None:
    tries = tries_sweep()
    interrupted = blob_store().sweep_incoming(older_than_s=INTERRUPTED_FOR_S)
    if tries or interrupted:
        log.info("swept", tries=tries, interrupted_writes=interrupted)


def _wait_for_job(stop: threading.Event) -> None:
    """Return when a job was queued or the relay is asked to stop."""
    deadline = time.monotonic() + SAFETY_POLL_S
    while not stop.is_set() and time.monotonic() < deadline:
        # Short, so that a stop is noticed; a notification ends it at once. What psycopg raises becomes
        # Django's, so that an outage is waited out here as everywhere.
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=0.5, stop_after=1):
                return
