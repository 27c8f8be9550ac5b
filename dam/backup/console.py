"""What a person in front of a long command sees: steps, and on a terminal how far each has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

Advance = Callable[[int], None]
"""Told of so many bytes more."""


class Teller:
    """Says on standard error what happens; quiet: nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Standard output is for what the command found.
        self._console = Console(stderr=True, quiet=quiet, soft_wrap=True, highlight=False, emoji=False)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False)

    @contextmanager
    def step(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """A step that takes a while. ``total``: bytes that it will go through, if they are known."""
        if not self._console.is_terminal:
            self.say(f"{title} …")
            yield lambda _count: None
            return
        columns = (
            (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            if total is None
            else (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
            )
        )
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(title, total=total)
            yield lambda count: progress.advance(task, count)


def readable_size(count: int) -> str:
    """Bytes as people say them, such as ``3.2 GB``."""
    size, units = float(count), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{count:,} bytes" if units[0] == "bytes" else f"{size:,.1f} {units[0]}"
