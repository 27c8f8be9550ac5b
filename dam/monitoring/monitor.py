"""The monitor: reads the state of the whole system again and again, and serves its last reading.

Each part of the state has a thread, so that a broker that hangs holds up nothing but the news of the broker.
A part that takes long is read less often: each keeps the database busy for a tenth of the time at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog
from django.db import Error, close_old_connections, connection
from prometheus_client import REGISTRY, CollectorRegistry

from dam.monitoring.parts import Part
from dam.monitoring.readings import Readings
from dam.schema import reason_of
from pipeline.ports import DependencyDownError
from pipeline.telemetry.health import Health
from pipeline.telemetry.metrics import DEPENDENCY_FAILURES

log = structlog.get_logger()

BEAT_S = 1.0
STALE_AFTER_PERIODS = 3
HUNG_AFTER_S = 900.0
"""No look takes so long: the process is to be started again."""

RETRY_AFTER_S = 10.0
"""At most; a part that is read seldom is not to be missed for long."""

_PAUSE_PER_SECOND = 9.0
_STOP_WITHIN_S = 5.0


class PartLoop:
    """Reads one part until asked to stop, in a thread of its own."""

    def __init__(self, part: Part, readings: Readings, stop: threading.Event) -> None:
        self.part = part
        self._readings = readings
        self._stop = stop
        self._turned = time.monotonic()
        self.trouble: str | None = "not read yet"
        """Why it could not be read the last time; None if it could."""
        # A daemon: a process that ends does not wait for somebody who is silent.
        self._thread = threading.Thread(target=self._work, name=part.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, within_s: float) -> None:
        """Wait for its end, if it is near."""
        self._thread.join(within_s)

    def is_hung(self) -> bool:
        """Whether it is silent for so long that it will not come back, or has ended."""
        return not self._thread.is_alive() or time.monotonic() - self._turned > HUNG_AFTER_S

    def look(self) -> float:
        """Read it once; gives the seconds until the next look."""
        began = time.monotonic()
        trouble = self._read(began)
        if trouble is None and self.trouble is not None:
            log.info("part is read", part=self.part.name, ms=round(1000 * (time.monotonic() - began), 1))
        self.trouble = trouble
        if trouble is not None:
            return min(self.part.every_s, RETRY_AFTER_S)
        return self._pause_s(time.monotonic() - began)

    def _pause_s(self, spent_s: float) -> float:
        return max(self.part.every_s, _PAUSE_PER_SECOND * spent_s)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                pause_s = self.look()
                self._turned = time.monotonic() + pause_s
                self._stop.wait(pause_s)
        finally:
            connection.close()

    def _read(self, began: float) -> str | None:
        name = self.part.name
        # One that broke meanwhile is opened anew.
        close_old_connections()
        try:
            samples = list(self.part.read())
        except (DependencyDownError, Error, OSError) as error:
            reason = reason_of(error)
            DEPENDENCY_FAILURES.labels(name).inc()
            log.warning("part cannot be read", part=name, reason=reason)
            # Whatever became of the connection, the next look opens another.
            connection.close()
            self._readings.miss(name, self.part.without)
            return reason
        except Exception:
            # A fault of ours in one part must neither end the others nor go unseen.
            log.exception("part failed", part=name)
            self._readings.miss(name, ())
            return "a fault of the monitor; see its log"
        spent_s = time.monotonic() - began
        period_s = spent_s + self._pause_s(spent_s)
        self._readings.renew(name, samples, good_for_s=STALE_AFTER_PERIODS * period_s)
        return None


def run(
    stop: threading.Event,
    health: Health,
    parts: Sequence[Part],
    *,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Read and serve until ``stop`` is set; outages are waited out.

    Args:
        stop: ends it.
        health: of this process. It is ready while every part can be read.
        parts: what is read.
        registry: what ``/metrics`` shows.
    """
    readings = Readings()
    registry.register(readings)
    loops = [PartLoop(part, readings, stop) for part in parts]
    log.info("monitoring", **{loop.part.name: f"every {loop.part.every_s:g} s" for loop in loops})
    try:
        for loop in loops:
            loop.start()
        while not stop.wait(BEAT_S):
            _tell(health, loops)
        until = time.monotonic() + _STOP_WITHIN_S
        for loop in loops:
            loop.join(max(0.0, until - time.monotonic()))
    finally:
        registry.unregister(readings)


def _tell(health: Health, loops: Sequence[PartLoop]) -> None:
    troubles = {loop.part.name: loop.trouble for loop in loops if loop.trouble is not None}
    hung = {loop.part.name: "does not come back" for loop in loops if loop.is_hung()}
    if not hung:
        health.beat()
    troubles |= hung
    if troubles:
        health.outage("; ".join(f"{name}: {trouble}" for name, trouble in troubles.items()))
    else:
        health.outage_over()
        health.started()
