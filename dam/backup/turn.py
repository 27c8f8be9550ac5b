"""One backup at a time in a place: what one removes another may be relying on.

Whoever begins writes a mark first and looks for the marks of others then, so of two that begin at the same
moment at least one sees the other. A mark is renewed while its backup runs. How old another one is is told by
the place's own clock, as the difference of two times of change there: no two machines have to agree.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from dam.backup.document import name_at
from dam.backup.errors import BackupError
from dam.backup.place import BACKUPS, Place
from pipeline.ports import BlobMissingError, DependencyDownError

MARK = "running.json"
RENEW_EVERY_S = 20.0
SILENT = timedelta(minutes=3)
"""A mark that was not renewed for so long is that of a backup that was killed."""


class Turn:
    """One backup's right to a place, while the block of :func:`turn_taken` lasts."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._path = place.path(name, MARK)
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._words = json.dumps({"machine": socket.gethostname(), "process": os.getpid(), "begun": begun})

    def mark(self) -> None:
        """Say that we are here."""
        self._place.tree.write(self._path, io.BytesIO(self._words.encode()))

    def check(self) -> None:
        """Return if nobody else is here.

        Raises:
            BackupError: somebody is.
        """
        marks = {
            found.path: found
            for found in self._place.tree.objects(BACKUPS)
            if found.path.endswith(f"/{MARK}") and found.path.count("/") == 2
        }
        ours = marks.pop(self._path, None)
        if ours is None:
            raise BackupError(f"the mark of this backup in {self._place.url} was removed by somebody")
        for found in marks.values():
            if ours.modified - found.modified < SILENT:
                minutes = f"{SILENT.total_seconds() / 60:.0f} minutes"
                raise BackupError(
                    f"another backup to {self._place.url} runs: {self._said_by(found.path)}. If it was "
                    f"killed, try again in {minutes}, or remove {found.path} there"
                )

    def leave(self) -> None:
        """Take the mark away; where that fails, it grows old by itself."""
        with contextlib.suppress(DependencyDownError):
            self._place.tree.remove(self._path)

    def _said_by(self, path: str) -> str:
        try:
            with self._place.tree.open(path) as stream:
                said = json.loads(stream.read(4096))
            return f"process {said['process']} on {said['machine']}, begun {said['begun']}"
        except (BlobMissingError, ValueError, KeyError, TypeError):
            # Whoever it is, they are here.
            return path


@contextmanager
def turn_taken(place: Place, now: datetime) -> Iterator[tuple[str, Turn]]:
    """The place for ourselves, with a name for the new backup that none has.

    Raises:
        BackupError: another backup runs there.
    """
    name = _free_name(place, now)
    turn = Turn(place, name)
    turn.mark()
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(RENEW_EVERY_S):
            # The next one may succeed; a long outage ends the backup by itself.
            with contextlib.suppress(DependencyDownError):
                turn.mark()

    thread = threading.Thread(target=renew, name="backup turn", daemon=True)
    try:
        turn.check()
        thread.start()
        yield name, turn
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join()
        turn.leave()


def _free_name(place: Place, now: datetime) -> str:
    taken = set(place.names())
    while (name := name_at(now)) in taken:
        now += timedelta(seconds=1)
    return name
