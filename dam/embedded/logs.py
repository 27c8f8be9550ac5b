"""Log files of the children, kept at a bounded size while they are written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO

LARGEST_BYTES = 10_000_000


class LogFile:
    """``NAME.log``, and ``NAME.log.1`` with what came before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened_at = 0

    def open(self) -> IO[bytes]:
        """For a child to write to, at its end whatever happens to the file meanwhile."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.limit()
        file = self.path.open("ab")
        self._opened_at = file.tell()
        return file

    def limit(self) -> None:
        """Move a file that has grown too large out of the way.

        Its content, not the file: the child holds it open. What it writes between the copy and the cut
        is lost.
        """
        if self.path.exists() and self.path.stat().st_size > LARGEST_BYTES:
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
            with self.path.open("r+b") as file:
                file.truncate(0)

    def tail(self, lines: int = 12) -> str:
        """The last lines, for a person."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 200 * lines))
                return "\n".join(file.read().decode("utf-8", errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def last_line(self) -> str:
        """The newest line since it was opened that says something."""
        with self.path.open("rb") as file:
            size = self.path.stat().st_size
            # It may have been cut since.
            start = self._opened_at if self._opened_at <= size else 0
            file.seek(max(start, size - 2000))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
