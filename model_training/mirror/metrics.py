"""What the mirror counts, beside the metrics that all processes share (``docs/metrics.md``)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

COPIED = Counter("vitrine_mirror_copied_versions", "Versions that were brought to the model server's folder.")
REMOVED = Counter("vitrine_mirror_removed_versions", "Versions that were removed there, long unnamed.")
LAST_SUCCESS = Gauge(
    "vitrine_mirror_last_success_timestamp_seconds",
    "When everything that models.config names was last seen to be there; 0: not yet.",
)
