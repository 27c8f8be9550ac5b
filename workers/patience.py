"""Waiting for what is down, without giving anything back and without hammering at it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from pipeline.ports import DependencyDownError, IncompatibleModelError
from pipeline.telemetry.health import Health
from pipeline.telemetry.metrics import DEPENDENCY_FAILURES

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 15.0
_LOOK_EVERY_S = 0.25
_FORCE_MARGIN_S = 2.0
_log = structlog.get_logger()


class GaveUpError(Exception):
    """Asked to stop, and the time for finishing is over: what is un-acked will be delivered again."""


class Shutdown:
    """The wish to stop, and until when what was begun may be finished.

    Asked for in one thread and read in others: the time is set before the wish.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._until = float("inf")
        self.asked = False
        """Whether to stop as soon as what was delivered is finished."""

    def ask(self) -> None:
        """Finish what was delivered, then stop. Only the first time counts."""
        if not self.asked:
            self._until = time.monotonic() + self._deadline_s
            self.asked = True

    @property
    def overdue(self) -> bool:
        """Whether the time for finishing is over."""
        return time.monotonic() >= self._until


def end_by_force_when_overdue(shutdown: Shutdown) -> None:
    """End the process a moment after its time for finishing is over, whatever it waits for then.

    A call that hangs, of the blob store or a model server, may last longer than our supervisor waits
    before it kills; so that it is told, and by whom, we end ourselves first.
    """

    def watch() -> None:
        while not shutdown.overdue:
            time.sleep(_LOOK_EVERY_S)
        time.sleep(_FORCE_MARGIN_S)
        _log.critical("ending the process by force", reason="the time for finishing is over")
        os._exit(os.EX_TEMPFAIL)

    threading.Thread(target=watch, name="deadline", daemon=True).start()


class Patience:
    """Tries again until a dependency answers; leases and heartbeats are kept alive by others meanwhile.

    Pauses grow from a quarter of a second to 15 s, each drawn between half and all of that, so that a
    hundred workers do not come back in the same moment.
    """

    def __init__(self, shutdown: Shutdown, health: Health) -> None:
        self._shutdown = shutdown
        self._health = health
        self.paused_s = 0.0
        """Spent in pauses so far."""

    def beat(self, stage: str) -> None:
        """Tell that there is progress in something that takes long.

        Raises:
            GaveUpError: we are asked to stop and the time is over.
        """
        self._health.beat()
        if self._shutdown.overdue:
            raise GaveUpError(stage)

    def persist(
        self, stage: str, attempt: Callable[[], T], *, on_failure: Callable[[Exception], None] | None = None
    ) -> T:
        """The answer of ``attempt``, as soon as it has one.

        Args:
            stage: for log, health and metrics.
            attempt: called again whenever it raises DependencyDownError; keeps what it has achieved.
            on_failure: told of every such error; may raise another one to end the waiting.

        Raises:
            GaveUpError: we are asked to stop and the time is over.
        """
        pause_s, began = _FIRST_PAUSE_S, time.monotonic()
        while True:
            self._health.beat()
            try:
                answer = attempt()
            except DependencyDownError as error:
                self._tell(stage, error, waited_s=time.monotonic() - began)
                if on_failure is not None:
                    on_failure(error)
                if self._shutdown.overdue:
                    raise GaveUpError(stage) from error
                self._wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, keeps no secret
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._health.outage_over()
                return answer

    def _tell(self, stage: str, error: Exception, *, waited_s: float) -> None:
        self._health.outage(f"{stage}: {error}")
        DEPENDENCY_FAILURES.labels(stage).inc()
        # An outage heals by itself. A model that we cannot feed needs somebody to act.
        tell = _log.error if isinstance(error, IncompatibleModelError) else _log.warning
        kind = type(error).__name__
        tell("dependency down", stage=stage, kind=kind, error=str(error), waited_s=round(waited_s, 1))

    def _wait(self, seconds: float) -> None:
        began, was_asked = time.monotonic(), self._shutdown.asked
        while (left := began + seconds - time.monotonic()) > 0:
            if self._shutdown.overdue or self._shutdown.asked != was_asked:
                break  # little time is left: try at once
            self._health.beat()
            time.sleep(min(left, _LOOK_EVERY_S))
        self.paused_s += time.monotonic() - began
