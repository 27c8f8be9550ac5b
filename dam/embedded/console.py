"""What the supervisor tells the person in front of it: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.status import Status

_REMIND_EVERY_S = 15.0


class Teller:
    """Says what happens. A terminal that was closed is no reason to end differently, so that is borne."""

    def __init__(self, console: Console | None = None) -> None:
        # soft_wrap: an address must stay in one piece, to be clicked or copied.
        self._console = console or Console(soft_wrap=True, highlight=False, emoji=False)

    def say(self, text: str = "", *, style: str | None = None) -> None:
        """One line or several, as they are."""
        with suppress(OSError):
            self._console.print(text, style=style, markup=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Callable[[str], None]]:
        """A step that takes a while; the body is given a function to report its progress with."""
        began = time.monotonic()
        reminded = began
        status: Status | None = None
        if self._console.is_terminal:
            status = self._console.status(title)
            with suppress(OSError):
                status.start()

        def progress(detail: str) -> None:
            nonlocal reminded
            if status is not None:
                with suppress(OSError):
                    status.update(f"{title} [dim]{_plain(detail)}[/]")
            elif time.monotonic() - reminded > _REMIND_EVERY_S:
                reminded = time.monotonic()
                self.say(f"  {title} … {detail}")

        try:
            yield progress
        finally:
            if status is not None:
                with suppress(OSError):
                    status.stop()
        self.say(f"✓ {title} ({time.monotonic() - began:.1f} s)")


def _plain(text: str) -> str:
    """Text without rich's markup, short enough for a line."""
    return text[:80].replace("[", "(").replace("]", ")")
