"""The metrics of pages, relay and results writer, beside those of ``pipeline.telemetry.metrics``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from prometheus_client import Counter, Gauge, Histogram

from pipeline.telemetry.metrics import WAITING_SECONDS

# A look for something to do takes milliseconds; deleting orphans of a large store takes an hour.
_ROUND_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)

# ------------------------------------------------------------------ pages

UPLOAD_OUTCOMES = ("created", "existing", "refused")
UPLOADS = Counter(
    "vitrine_uploads",
    "Pictures that somebody brought: created, existing (the same bytes were there), refused at the door.",
    ["outcome"],
)
UPLOAD_BYTES = Counter("vitrine_upload_bytes", "Bytes of the pictures that were not refused.")

# ------------------------------------------------------------------ relay

JOBS_PUBLISHED = Counter("vitrine_jobs_published", "Jobs that went to their queue.", ["queue"])
JOBS_REFUSED = Counter(
    "vitrine_jobs_refused", "Jobs that stay queued because their queue was full when they came.", ["queue"]
)
ROUND_RESULTS = ("done", "waits", "refused", "failed")
ROUND_RUNS = Counter(
    "vitrine_round_runs",
    "Regular rounds: done, waits (something was down; it is due again), refused (it would have deleted too "
    "much) or failed (a fault of ours).",
    ["round", "result"],
)
ROUND_SECONDS = Histogram(
    "vitrine_round_duration_seconds", "Time of one regular round.", ["round"], buckets=_ROUND_SECONDS
)
ROUND_LAST_SUCCESS = Gauge(
    "vitrine_round_last_success_timestamp_seconds",
    "When this relay last did a regular round; several relays share them, so take the latest.",
    ["round"],
)
ROUND_LAST_REFUSAL = Gauge(
    "vitrine_round_last_refusal_timestamp_seconds",
    "When this relay refused to do the round, because it would have deleted too much.",
    ["round"],
)

# ----------------------------------------------------------------- writer

ANSWERS_RECORDED = Counter(
    "vitrine_answers_recorded",
    "Answers by what they did: tagged, failed, answered, superseded, ignored, withdrawn, refused.",
    ["outcome"],
)
DEAD_LETTERS_KEPT = Counter(
    "vitrine_dead_letters_kept", "Messages that the queue gave up and the catalogue keeps.", ["queue"]
)
LANES = ("interactive", "bulk")
TIME_TO_TAGGED_SECONDS = Histogram(
    "vitrine_time_to_tagged_seconds",
    "Time from the upload to the commit that gave the picture its first tags.",
    ["lane"],
    buckets=WAITING_SECONDS,
)
VOCABULARY_REQUESTS = Counter(
    "vitrine_vocabulary_cache_requests", "Looks at the vocabulary, and whether it had to be read.", ["result"]
)


def begin_at_zero(counter: Counter, *labels: Iterable[str]) -> None:
    """Show a counter before it counts: Prometheus takes a number that comes as a 1 for no increase.

    Args:
        counter: with as many labels as iterables follow.
        labels: what each label may be; all combinations are shown.
    """
    for combination in product(*labels):
        counter.labels(*combination)


def lane_of(*, bulk: bool) -> str:
    """Whether somebody waits, as a label."""
    return LANES[bulk]
