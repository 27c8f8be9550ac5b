"""TensorFlow Serving's metrics at ``/monitoring/prometheus/metrics``, as far as the stand-in can tell them.

Names, labels, buckets and form are TensorFlow Serving's (``servables/tensorflow/util.cc``,
``saved_model_warmup_util.cc``, ``util/prometheus_exporter.cc``; TensorFlow's ``cc/saved_model/loader.cc`` and
``core/framework/metrics.cc``), so that rules and dashboards hold for both. Counters have no ``_total``,
latencies are microseconds.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from model_training.local_server.errors import ServingError

PATH = "/monitoring/prometheus/metrics"
_ABOUT = "# A stand-in for TensorFlow Serving tells this, not TensorFlow Serving itself."
_BOUNDS = tuple(10 * 1.8**i for i in range(33))
"""Upper ends of the buckets of every latency: ten microseconds to half an hour."""


class _Counts:
    """A counter with its labels."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name = name
        self._labels = labels
        self._values: dict[tuple[str, ...], int] = {} if labels else {(): 0}
        self._lock = threading.Lock()

    def add(self, *values: str, by: int = 1) -> None:
        with self._lock:
            self._values[values] = self._values.get(values, 0) + by

    def lines(self) -> Iterator[str]:
        with self._lock:
            values = dict(self._values)
        yield f"# TYPE {self._name} counter"
        for labels, value in sorted(values.items()):
            yield f"{self._name}{{{_pairs(self._labels, labels)}}} {value}"


class _Distribution:
    """A histogram with its labels."""

    def __init__(self, name: str, *labels: str) -> None:
        self._name = name
        self._labels = labels
        self._cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        """Numbers for each bucket, the last one without an upper end; and all that was observed, summed."""
        self._lock = threading.Lock()

    def observe(self, *values: str, microseconds: float) -> None:
        with self._lock:
            counts, total = self._cells.setdefault(values, ([0] * (len(_BOUNDS) + 1), [0.0]))
            counts[bisect_left(_BOUNDS, microseconds)] += 1
            total[0] += microseconds

    def lines(self) -> Iterator[str]:
        with self._lock:
            cells = {labels: (list(counts), total[0]) for labels, (counts, total) in self._cells.items()}
        yield f"# TYPE {self._name} histogram"
        ends = [*(f"{bound:g}" for bound in _BOUNDS), "+Inf"]
        for labels, (counts, total) in sorted(cells.items()):
            pairs = _pairs(self._labels, labels)
            for end, count in zip(ends, accumulate(counts), strict=True):
                yield f'{self._name}_bucket{{{pairs},le="{end}"}} {count}'
            yield f"{self._name}_sum{{{pairs}}} {total:g}"
            yield f"{self._name}_count{{{pairs}}} {sum(counts)}"


def _pairs(names: Iterable[str], values: Iterable[str]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))


_load_attempts = _Counts(":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status")
_load_latency = _Counts(":tensorflow:cc:saved_model:load_latency", "model_path")
_graph_run_time = _Counts(":tensorflow:core:graph_run_time_usecs")
_graph_runs = _Counts(":tensorflow:core:graph_runs")
_warm_up_latency = _Distribution(":tensorflow:serving:model_warmup_latency", "model_path", "status")
_requests = _Counts(":tensorflow:serving:request_count", "model_name", "status")
_request_latency = _Distribution(":tensorflow:serving:request_latency", "model_name", "API", "entrypoint")
_runtime_latency = _Distribution(":tensorflow:serving:runtime_latency", "model_name", "API", "runtime")


def page() -> str:
    """Everything, in the text format of Prometheus."""
    told = (
        *(_load_attempts, _load_latency, _graph_run_time, _graph_runs),
        *(_warm_up_latency, _requests, _request_latency, _runtime_latency),
    )
    return "\n".join([_ABOUT, *(line for one in told for line in one.lines()), ""])


@contextmanager
def prediction(model: str, api: str, entrypoint: str) -> Iterator[None]:
    """A request for a prediction: counted with its status, and timed if it is answered.

    Args:
        model: name of one that is served here; empty for others, so that no caller invents series.
        api: ``Predict`` over gRPC, ``predict`` over REST.
        entrypoint: ``GRPC`` or ``REST``.
    """
    began = time.perf_counter()
    status = "OK"
    try:
        yield
    except ServingError as error:
        status = error.code.name
        raise
    except BaseException:
        status = "UNKNOWN"
        raise
    else:
        _request_latency.observe(model, api, entrypoint, microseconds=_since(began))
    finally:
        _requests.add(model, status)


@contextmanager
def run(model: str) -> Iterator[None]:
    """TensorFlow runs the graph of that model; empty: of one that is warmed up."""
    began = time.perf_counter()
    yield
    spent = _since(began)
    _graph_runs.add()
    _graph_run_time.add(by=round(spent))
    if model:
        # ``TF1``: a session, as with TensorFlow Serving's default loader; and by the name of the gRPC call.
        _runtime_latency.observe(model, "Predict", "TF1", microseconds=spent)


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """A version is loaded."""
    began = time.perf_counter()
    try:
        yield
    except ServingError:
        _load_attempts.add(str(folder), "fail")
        raise
    _load_attempts.add(str(folder), "success")
    _load_latency.add(str(folder), by=round(_since(began)))


@contextmanager
def warming_up(folder: Path) -> Iterator[None]:
    """A version's own requests are answered."""
    began = time.perf_counter()
    status = "OK"
    try:
        yield
    except ServingError as error:
        status = error.code.name
        raise
    finally:
        _warm_up_latency.observe(str(folder), status, microseconds=_since(began))


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1e6
