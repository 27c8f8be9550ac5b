"""What a loop needs to be a process: readable logs, a port that tells how it is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog

from pipeline.telemetry.health import Health, serve_health
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

    Raises:
        CannotListenError: for questions about health.
    """
    settings = ProcessSettings()
    configure_logs(service, settings.log_format)
    configure_tracing(service)
    health = Health(max_silence_s=max_silence_s)
    with ExitStack() as stack:
        stack.callback(flush_traces)
        stack.enter_context(serve_health(health, settings))
        log.info("process starts", health_port=settings.health_port)
        yield health
        log.info("process stops")


def collect_seldom() -> None:
    """Have the garbage collector look less often, and not at what was there before the work began.

    A loop that makes many objects and no circles of them, as recording does, otherwise spends a fifth of
    its time on looking at all of Django's again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
