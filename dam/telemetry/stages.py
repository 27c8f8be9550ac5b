"""The time of each stage of a batch, for its log line and for metrics."""

from __future__ import annotations

import time


class StageClock:
    """Seconds of one stage after the other; it runs from the moment at which it is made."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def over(self, stage: str) -> None:
        """What was done since the last stage was this one."""
        now = time.perf_counter()
        self.seconds[stage], self._began = now - self._began, now

    def as_fields(self) -> dict[str, float]:
        """Milliseconds of each, and of all, by the names that they have in a log line."""
        spent = {**self.seconds, "total": sum(self.seconds.values())}
        return {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in spent.items()}
