"""The database server, the disks and the blob store: how much room there is, and whether they answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.conf import settings

from dam.assets.storage import blob_store
from dam.tagging.bulk_sql import rows_read
from pipeline.blobs import original_key
from pipeline.ports import DependencyDownError


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The database and its server."""

    connections: Mapping[str, int]
    """To the whole server, by state: ``active``, ``idle``, ``idle in transaction`` …; ``hidden``: of others,
    into which our role may not look."""
    connections_limit: int
    """Connections that the server takes of those who are no superusers."""
    size_bytes: int
    """Of this database."""
    blocks_from_cache: int
    """Blocks of 8 KiB that statements found in the server's memory since its counters began."""
    blocks_from_disk: int
    """Blocks that it had to ask the operating system for."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system below a place; ``free_bytes`` is what we may still write."""

    place: str
    path: Path
    size_bytes: int
    free_bytes: int


def database_read() -> DatabaseState:
    """Connections, size and cache of the database server."""
    rows = rows_read(_CONNECTIONS)
    ((limit, size, cached, read),) = rows_read(_DATABASE)
    return DatabaseState(dict(rows), limit, size, cached, read)


def disks_read() -> tuple[Disk, ...]:
    """The disks below VITRINE_HOME and below the blobs, if those lie in a folder.

    A place that is not there is left out: :func:`blob_store_outage` tells what that means.

    Raises:
        OSError: a place does not answer.
    """
    return tuple(_disk(place, path) for place, path in places().items() if path.exists())


def places() -> dict[str, Path]:
    """The folders that Vitrine keeps things in, by name: ``home``, and ``blobs`` if it is one."""
    found = {"home": Path(settings.VITRINE_HOME)}
    if (blobs := _blob_folder(settings.BLOB_URL)) is not None:
        found["blobs"] = blobs
    return found


def blob_store_outage() -> str:
    """Empty if the blob store answers, else what is wrong with it."""
    try:
        # Of a key that nothing has: all that matters is that there is an answer.
        blob_store().exists(original_key("0" * 64))
    except DependencyDownError as error:
        return str(error)
    return ""


def _blob_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(url)


def _disk(place: str, path: Path) -> Disk:
    found = os.statvfs(path)
    return Disk(place, path, found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail)


_CONNECTIONS = """
SELECT coalesce(state, 'hidden'), count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' GROUP BY 1
"""
_DATABASE = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    pg_database_size(datid), blks_hit, blks_read
FROM pg_stat_database WHERE datname = current_database()
"""
