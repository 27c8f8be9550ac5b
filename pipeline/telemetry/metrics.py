"""The metrics that several processes share; each process has its own beside them (``docs/metrics.md``)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A second series for each, with the time at which it began, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

# One picture: from a thumbnail that is answered from a cache to the largest that is accepted.
PICTURE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# From a person who waits to an import that takes the night.
WAITING_SECONDS = (
    *(0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
    *(300.0, 900.0, 3600.0, 14400.0, 86400.0),
)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

STAGE_SECONDS = Histogram(
    "vitrine_stage_duration_seconds",
    "Time of one stage on a picture's way: of each picture for fetch, decode, encode and store, "
    "of each batch for the others.",
    ["stage", "queue"],
    buckets=PICTURE_SECONDS,
)
QUEUE_WAIT_SECONDS = Histogram(
    "vitrine_queue_wait_seconds",
    "Time from the request to the moment at which a worker took it up.",
    ["queue"],
    buckets=WAITING_SECONDS,
)
BATCH_MESSAGES = Histogram(
    "vitrine_batch_messages",
    "Messages that were handled together.",
    ["stage", "queue"],
    buckets=BATCH_SIZES,
)
DEPENDENCY_FAILURES = Counter(
    "vitrine_dependency_failures",
    "Attempts that failed because something this process depends on did not answer.",
    ["stage"],
)
READY = Gauge(
    "vitrine_ready", "1 while this process can do its work, 0 while it waits for something that is down."
)
