"""What a loop needs to be a process: a clean stop and readable logs."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from types import FrameType

import structlog


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


def configure_logging() -> None:
    """Structured lines on stderr: JSON in containers, readable on a terminal (``VITRINE_LOG_FORMAT``)."""
    json_lines = os.environ.get("VITRINE_LOG_FORMAT", "console") == "json"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer()
            if json_lines
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
