"""The last reading of each part, and the collector that serves them as long as they are fresh."""

from __future__ import annotations

import importlib.metadata
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from dam.monitoring import metrics
from dam.monitoring.metrics import Sample, StateMetric


@dataclass(frozen=True, slots=True)
class _Reading:
    samples: tuple[Sample, ...] = ()
    good_until: float = float("-inf")
    """By ``time.monotonic()``."""
    read_at: float | None = None
    """Seconds since 1970."""
    missed: tuple[Sample, ...] = ()
    """What is so because it could not be read the last time."""

    def fresh(self, now: float) -> Iterator[Sample]:
        """What is still true."""
        yield from self.missed
        if now < self.good_until:
            known_better = {sample.metric for sample in self.missed}
            yield from (sample for sample in self.samples if sample.metric not in known_better)


class Readings(Collector):
    """What ``/metrics`` of the monitor shows. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[str, _Reading] = {}

    def renew(self, part: str, samples: Iterable[Sample], *, good_for_s: float) -> None:
        """A part was read; its samples take the place of those before."""
        reading = _Reading(tuple(samples), time.monotonic() + good_for_s, time.time())
        with self._lock:
            self._readings[part] = reading

    def miss(self, part: str, without: Iterable[Sample]) -> None:
        """A part could not be read: this is so until it can; what was read before stays until it is stale."""
        with self._lock:
            last = self._readings.get(part, _Reading())
            self._readings[part] = _Reading(last.samples, last.good_until, last.read_at, tuple(without))

    def collect(self) -> Iterator[Metric]:
        """Every fresh sample, by metric."""
        now = time.monotonic()
        with self._lock:
            readings = sorted(self._readings.items())
        # Several parts may have samples of one metric, which has to be written in one place.
        found: dict[StateMetric, list[Sample]] = {}
        for part, reading in readings:
            for sample in reading.fresh(now):
                found.setdefault(sample.metric, []).append(sample)
            if reading.read_at is not None:
                found.setdefault(metrics.LAST_SUCCESS, []).append(
                    metrics.LAST_SUCCESS.of(reading.read_at, part)
                )
        found[metrics.BUILD_INFO] = [metrics.BUILD_INFO.of(1, build_version())]
        for metric, samples in found.items():
            yield _family(metric, samples)

    def describe(self) -> Iterator[Metric]:
        """Every metric that there may be, without samples."""
        for metric in metrics.MONITOR_METRICS:
            yield _family(metric, ())


@cache
def build_version() -> str:
    """The version that is installed here; ``unknown`` where the code runs without being installed."""
    try:
        return importlib.metadata.version("vitrine")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _family(metric: StateMetric, samples: Iterable[Sample]) -> Metric:
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = make(metric.name, metric.documentation, labels=metric.labels)
    for sample in samples:
        made.add_metric(sample.labels, sample.value)
    return made
