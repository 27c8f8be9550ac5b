"""One structured line per batch and per change of state, on standard output."""

from __future__ import annotations

import sys
from typing import Literal

import structlog


def configure_logs(log_format: Literal["json", "console"]) -> None:
    """Let every ``structlog`` logger of this process write JSON lines, or lines for people."""
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
