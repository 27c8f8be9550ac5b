"""What a loop needs to be a process: a clean stop, readable logs, a port that tells how it is."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import structlog

from pipeline.telemetry.health import Health, HealthServer
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.settings import ProcessSettings
from pipeline.telemetry.tracing import configure_tracing, flush_traces

log: Any = structlog.get_logger()

# An outage is waited out in short parts, and a broker given up after half a minute: who is silent for so long
# hangs.
MAX_SILENCE_S = 300.0


@contextmanager
def telling(service: str, *, max_silence_s: float = MAX_SILENCE_S) -> Iterator[Health]:
    """Write logs, send traces if told where to, and serve health and metrics if there is a port for them.

    Args:
        service: which part of Vitrine this process is.
        max_silence_s: as in :class:`pipeline.telemetry.health.Health`.
    """
    settings = ProcessSettings()
    configure_logs(service, settings.log_format)
    configure_tracing(service)
    health = Health(max_silence_s=max_silence_s)
    with ExitStack() as stack:
        stack.callback(flush_traces)
        if settings.health_port:
            stack.enter_context(HealthServer(health, settings.health_host, settings.health_port))
        log.info("process starts", health_port=settings.health_port)
        yield health
        log.info("process stops")


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the loop then finishes what it holds.

    The handler only writes to a pipe: were it to set the event itself, it would wait for ever if the code
    that it interrupts held the event's lock.
    """
    stop = threading.Event()
    told, tell = os.pipe()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        os.write(tell, b"stop")

    def listen() -> None:
        os.read(told, 1)
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return stop


def collect_seldom() -> None:
    """Have the garbage collector look less often, and not at what was there before the work began.

    A loop that makes many objects and no circles of them, as recording does, otherwise spends a fifth of
    its time on looking at all of Django's again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
