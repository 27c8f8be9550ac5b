"""How long a loop waits while something that it depends on is down."""

from __future__ import annotations

import random


class Backoff:
    """Doubling delays with jitter, from a fifth of a second to five seconds."""

    def __init__(self, *, first_s: float = 0.2, most_s: float = 5.0) -> None:
        self._first, self._most = first_s, most_s
        self._next = first_s

    def next_delay(self) -> float:
        """Seconds to wait now; the next answer is about twice as long."""
        delay = self._next * random.uniform(0.5, 1.0)  # noqa: S311  # spreads retries, guards nothing
        self._next = min(self._next * 2, self._most)
        return delay

    def reset(self) -> None:
        """It works again."""
        self._next = self._first
