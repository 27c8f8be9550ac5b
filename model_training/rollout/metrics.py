"""What the controller counts, beside the metrics that all processes share (``docs/metrics.md``)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ACTS = Counter(
    "vitrine_controller_acts",
    "Steps that the controller has done, by what it did: publish, load, label …",
    ["act"],
)
LAST_LOOK = Gauge(
    "vitrine_controller_last_look_timestamp_seconds",
    "When the controller last saw what is served, asked for and loaded; 0: not yet.",
)
