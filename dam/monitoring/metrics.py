"""The metrics of the monitor: gauges of the whole system's state; ``docs/metrics.md`` explains each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class StateMetric:
    """One metric, as Prometheus knows it; a counter's name is given without ``_total``."""

    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    def of(self, value: float, *labels: str) -> Sample:
        """A value of it.

        Args:
            value: in the metric's unit.
            labels: their values, in the order of ``self.labels``.

        Raises:
            ValueError: too many labels or too few.
        """
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        return Sample(self, labels, float(value))


class Sample(NamedTuple):
    """A value of a metric at the time of a reading."""

    metric: StateMetric
    labels: tuple[str, ...]
    value: float


# --------------------------------------------------------------- catalogue

ASSETS = StateMetric("vitrine_assets", "Pictures by state: pending, tagged, failed.", ("state",))
ASSETS_FAILED = StateMetric("vitrine_assets_failed", "Failed pictures by reason.", ("reason",))
ASSETS_PENDING = StateMetric(
    "vitrine_assets_pending",
    "Pending pictures that have waited for at least so long; each counts for all shorter times, too.",
    ("older_than",),
)
JOBS = StateMetric("vitrine_jobs", "Jobs by purpose and state.", ("purpose", "state"))
OLDEST_JOB = StateMetric(
    "vitrine_oldest_job_age_seconds",
    "Time since the oldest job of that state was issued; 0 if there is none.",
    ("state", "lane"),
)
DEAD_LETTERS = StateMetric(
    "vitrine_dead_letters", "Dead letters that nobody has replayed or dropped yet.", ("queue",)
)
LEDGER_AGREES = StateMetric("vitrine_ledger_agrees", "1 if every sum of the ledger agrees, else 0.")
LEDGER_EXCEPTIONS = StateMetric(
    "vitrine_ledger_exceptions",
    "Pictures whose state nothing explains: forgotten (pending without a job), unproven (tagged without an "
    "answer), unexplained (failed without a failed job).",
    ("kind",),
)
MODEL_IN_SERVICE = StateMetric(
    "vitrine_model_in_service_info",
    "1 for each version in service: champion, challenger, predecessor.",
    ("name", "version", "role"),
)

# ------------------------------------------------------------------- broker

QUEUE_MESSAGES = StateMetric(
    "vitrine_queue_messages",
    "Messages of a queue: ready, or held by consumers (which RabbitMQ does not tell).",
    ("queue", "state"),
)
QUEUE_CONSUMERS = StateMetric("vitrine_queue_consumers", "Living consumers of a queue.", ("queue",))
BROKER_UP = StateMetric("vitrine_broker_up", "1 if the broker of the queues answered, else 0.")

# ------------------------------------------------------- database and places

DATABASE_UP = StateMetric("vitrine_database_up", "1 if the catalogue's database answered, else 0.")
DATABASE_CONNECTIONS = StateMetric(
    "vitrine_database_connections",
    "Connections to the database server, by state; hidden: those that our role may not look into.",
    ("state",),
)
DATABASE_CONNECTIONS_LIMIT = StateMetric(
    "vitrine_database_connections_limit", "Connections that the server takes of those who are no superusers."
)
DATABASE_BLOCKS = StateMetric(
    "vitrine_database_blocks_read",
    "Blocks that statements read: from the server's cache, or from disk (by way of the operating system).",
    ("from",),
    kind="counter",
)
DATABASE_SIZE = StateMetric("vitrine_database_size_bytes", "Size of the catalogue's database.")
DISK_FREE = StateMetric(
    "vitrine_disk_free_bytes", "Room that is left for us on the disk of a place.", ("place",)
)
DISK_SIZE = StateMetric("vitrine_disk_size_bytes", "Size of the disk of a place.", ("place",))
BLOB_STORE_UP = StateMetric("vitrine_blob_store_up", "1 if the blob store answered, else 0.")
INTEGRITY_FINDINGS = StateMetric(
    "vitrine_integrity_findings",
    "Files that are not as the database has them, as the last comparison with the blob store found them.",
    ("kind", "of"),
)
INTEGRITY_LAST_SUCCESS = StateMetric(
    "vitrine_integrity_last_success_timestamp_seconds",
    "When the last comparison of database and blob store came to its end.",
)
INTEGRITY_SECONDS = StateMetric("vitrine_integrity_seconds", "How long that comparison took.")
INTEGRITY_READ = StateMetric(
    "vitrine_integrity_read_bytes", "Bytes of originals that it read to compare their sha256."
)
CERTIFICATE_EXPIRY = StateMetric(
    "vitrine_certificate_expiry_timestamp_seconds",
    "When the certificate that an endpoint shows ends.",
    ("endpoint",),
)

# -------------------------------------------------------------- tag quality

REVIEWED_PRECISION = StateMetric(
    "vitrine_reviewed_precision",
    "Share of the models' suggestions that people accepted, of those they judged in the last 90 days.",
)
TAG_REVIEWED_PRECISION = StateMetric(
    "vitrine_tag_reviewed_precision",
    "The same for each of the tags that were judged most.",
    ("tag",),
)
TAG_REVIEWS = StateMetric(
    "vitrine_tag_reviews",
    "Suggestions that people judged in the last 90 days, by tag and verdict; _other: all other tags.",
    ("tag", "verdict"),
)
CALIBRATION_ERROR = StateMetric(
    "vitrine_calibration_error",
    "Expected calibration error of the champion's scores on what people judged; 0 is perfect.",
)
AUTO_ACCEPTED_SHARE = StateMetric(
    "vitrine_auto_accepted_share", "Share of the tags that people see that nobody has judged."
)
TAGGINGS_REVIEWED_SHARE = StateMetric(
    "vitrine_taggings_reviewed_share", "Share of the tagged pictures on which a person judged a tag."
)
SCORE_DRIFT = StateMetric(
    "vitrine_score_drift_psi",
    "Population stability index of the champion's newest answers against its first ones here.",
    ("model_version", "distribution"),
)

# ------------------------------------------------------------ of the monitor

LAST_SUCCESS = StateMetric(
    "vitrine_monitor_last_success_timestamp_seconds", "When a part of the state was last read.", ("part",)
)
BUILD_INFO = StateMetric("vitrine_build_info", "1, with the version of Vitrine that runs here.", ("version",))

MONITOR_METRICS: tuple[StateMetric, ...] = tuple(
    metric for metric in list(globals().values()) if isinstance(metric, StateMetric)
)
