"""Waiting for the tables: where processes start in any order, a loop may be there before them."""

from __future__ import annotations

import threading
from typing import Any

import structlog
from django.db import Error, close_old_connections

from dam.loops.backoff import Backoff
from dam.schema import reason_of, schema_trouble
from pipeline.telemetry.health import Health

log: Any = structlog.get_logger()


def wait_for_schema(event: str, stop: threading.Event, health: Health) -> None:
    """Return when every migration is applied, or ``stop`` is set.

    Until then the process lives and is not ready.

    Args:
        event: what the log says of each attempt that failed.
        stop: ends the wait.
        health: of this process.
    """
    backoff = Backoff()
    while not stop.is_set():
        health.beat()
        try:
            reason = schema_trouble()
        except Error as error:
            reason = reason_of(error)
        if not reason:
            health.outage_over()
            return
        delay = backoff.next_delay()
        health.outage(reason)
        log.warning(event, reason=reason, seconds=round(delay, 1))
        stop.wait(delay)
        close_old_connections()
