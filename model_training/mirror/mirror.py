"""One side is made to hold what the other side's ``models.config`` names.

A version appears by one rename when it is complete, and ``models.config`` by one rename after all that it
names: whoever reads the folder can rely on it at every moment, also after the mirror was killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from functools import cache
from pathlib import Path

import structlog

from model_training.mirror.errors import NotYetError, SetupError
from model_training.mirror.metrics import COPIED, LAST_SUCCESS, REMOVED
from model_training.mirror.naming import Named, named
from model_training.rollout.config_place import ConfigFile, config_place
from model_training.rollout.serving_path import FolderPath, ServingPath, serving_path
from pipeline.telemetry.health import Health

FILE = "models.config"
_LOCK = ".mirror.lock"
# A model server unloads a version seconds after models.config has ceased to name it.
_KEEP_S = 3600.0

_log = structlog.get_logger(__name__)


class Mirror:
    """Brings models from a place to a folder. One at a time for each folder; a second one waits.

    Args:
        source: a folder or ``s3://BUCKET/PREFIX`` that holds ``models.config`` and a folder for each model.
        to: gets the same.
        health: beats before each look and each version.
        keep_s: a version that ``models.config`` has not named for so long is removed from ``to``.

    Raises:
        SetupError: not such a place, or the same one twice.
    """

    def __init__(self, source: str, to: Path, health: Health, *, keep_s: float = _KEEP_S) -> None:
        if "://" not in source and Path(source).resolve() == to.resolve():
            raise SetupError(f"models cannot be brought from {source} to itself")
        try:
            self._config = config_place(f"{source.rstrip('/')}/{FILE}")
            self._versions = cache(lambda folder: serving_path(f"{source.rstrip('/')}/{folder}"))
        except ValueError as error:
            raise SetupError(str(error)) from error
        self._to = to
        self._here = ConfigFile(to / FILE)
        self._health = health
        self._keep_s = keep_s
        self._lock: int | None = None
        self._last_named: dict[tuple[str, int], float] = {}

    def close(self) -> None:
        """Let another one begin."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_complete(self) -> bool:
        """Whether the folder holds a ``models.config`` and all that it names, of whatever age."""
        here = self._named_here()
        return bool(here) and all(not self._missing(here, folder) for folder in here)

    def round(self) -> None:
        """Bring what is named there now and is not here, then ``models.config``; remove what is long unnamed.

        Raises:
            NotYetError, NoVersionError: something is not there yet; what is here stays as it is.
            BlobStoreDownError, OSError: the source does not answer, or the folder takes nothing.
        """
        self._health.beat()
        self._begin()
        content = self._config.read()
        if content is None:
            raise NotYetError(f"there is no {self._config.name} yet")
        wanted = named(content)
        before = self._named_here()
        for folder in wanted:
            for number in self._missing(wanted, folder):
                self._bring(folder, number)
        if content != self._here.read():
            self._here.write(content)
            _log.info("models.config is in force", versions={each: sorted(wanted[each]) for each in wanted})
        LAST_SUCCESS.set_to_current_time()
        self._remove_unnamed(before, wanted)

    def _begin(self) -> None:
        """Make sure that nobody else writes here; then what the last one left half done can go."""
        if self._lock is not None:
            return
        self._to.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._to / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise NotYetError(f"another mirror is at work in {self._to}") from error
        self._lock = lock
        self._here.remove_abandoned()
        for folder in self._to.iterdir():
            FolderPath(folder).remove_abandoned(older_than_s=0)

    def _named_here(self) -> Named:
        """What the file in force names; nothing if there is none, or none that can be read."""
        content = self._here.read()
        try:
            return named(content) if content is not None else {}
        except NotYetError:
            return {}

    def _missing(self, wanted: Named, folder: str) -> list[int]:
        return sorted(wanted[folder] - FolderPath(self._to / folder).versions())

    def _bring(self, folder: str, number: int) -> None:
        self._health.beat()
        began = time.monotonic()
        source: ServingPath = self._versions(folder)
        FolderPath(self._to / folder).take(number, lambda to: source.copy(number, to))
        COPIED.inc()
        _log.info("version brought", model=folder, version=number, total_ms=_ms_since(began))

    def _remove_unnamed(self, before: Named, wanted: Named) -> None:
        """Only in folders of models that were named since this process began, or at its begin."""
        now = time.monotonic()
        for folder in before.keys() | wanted.keys():
            for number in before.get(folder, frozenset()) | wanted.get(folder, frozenset()):
                self._last_named[folder, number] = now
        for folder in {folder for folder, _ in self._last_named}:
            for number in FolderPath(self._to / folder).versions():
                if now - self._last_named.setdefault((folder, number), now) <= self._keep_s:
                    continue
                FolderPath(self._to / folder).remove(number)
                del self._last_named[folder, number]
                REMOVED.inc()
                _log.info("version removed", model=folder, version=number)


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
