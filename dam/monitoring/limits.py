"""From when on something counts as wrong, for the doctor and the status page alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

SLOW_S: Mapping[str, float] = {"interactive": 60, "bulk": 4 * 3600, "shadow": 24 * 3600}
"""An open job of that lane, older than this, is late: a person waits for seconds, an import for a night."""

STUCK_S: Mapping[str, float] = {"interactive": 600, "bulk": 24 * 3600, "shadow": 7 * 24 * 3600}
"""An open job of that lane, older than this, will not be answered by itself."""

RELAY_SILENT = timedelta(minutes=3)
"""The relay looks every 10 s, and one of its rounds may take a minute."""

CONTROLLER_SILENT = timedelta(minutes=2)
"""The controller reports every half a minute."""

INTEGRITY_STALE = timedelta(days=35)
"""Whoever compares database and blob store at all does so every month."""

CONNECTIONS_SHARE = 0.9
"""Of the connections that the database takes."""

# Of a small disk a share counts, of a large one how much that is.
_LOW_SHARE, _LOW_BYTES = 0.10, 50 << 30
_FULL_SHARE, _FULL_BYTES = 0.02, 5 << 30

Room = Literal["enough", "low", "full"]


def room(*, size_bytes: int, free_bytes: int, needed_bytes: int = 0) -> Room:
    """Whether a disk has room.

    Args:
        size_bytes: of the file system.
        free_bytes: what may still be written.
        needed_bytes: with less than this it is full, however small it is.
    """
    if free_bytes < max(min(size_bytes * _FULL_SHARE, _FULL_BYTES), needed_bytes):
        return "full"
    return "low" if free_bytes < min(size_bytes * _LOW_SHARE, _LOW_BYTES) else "enough"
