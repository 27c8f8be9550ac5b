"""What was read, as samples of the monitor's metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dam.integrity.report import FAULTS
from dam.integrity.selectors import IntegrityState
from dam.jobs.models import TaggingJob
from dam.monitoring import metrics
from dam.monitoring.drift import Drift
from dam.monitoring.metrics import Sample
from dam.monitoring.places import DatabaseState, Disk
from dam.monitoring.quality import Quality
from dam.monitoring.queues import QueueState
from dam.monitoring.state import ModelInService, State, Sums
from pipeline.topology import QUEUES

_OPEN_STATES = (TaggingJob.State.QUEUED, TaggingJob.State.PUBLISHED)
OTHER_TAGS = "_other"
"""Stands for all tags without a value of their own. No slug begins so."""


def state_samples(state: State) -> Iterator[Sample]:
    """Pictures, open jobs, ages, dead letters. What there is none of is 0, so that it can be seen to rise."""
    assets = state.assets
    yield metrics.ASSETS.of(assets.pending, "pending")
    yield metrics.ASSETS.of(assets.tagged, "tagged")
    yield metrics.ASSETS.of(assets.failed, "failed")
    for reason, number in assets.failed_by_reason.items():
        yield metrics.ASSETS_FAILED.of(number, reason)
    for age, number in assets.pending_older_than.items():
        yield metrics.ASSETS_PENDING.of(number, age)
    for purpose in TaggingJob.Purpose.values:
        for open_state in _OPEN_STATES:
            yield metrics.JOBS.of(state.jobs.counts.get((purpose, open_state), 0), purpose, open_state)
    for (job_state, lane), age_s in state.jobs.oldest_s.items():
        yield metrics.OLDEST_JOB.of(age_s, job_state, lane)
    for queue in {one.dead_letters: 0 for one in QUEUES} | dict(state.dead_letters):
        yield metrics.DEAD_LETTERS.of(state.dead_letters.get(queue, 0), queue)


def model_samples(models: Iterable[ModelInService]) -> Iterator[Sample]:
    """The versions in service."""
    for model in models:
        yield metrics.MODEL_IN_SERVICE.of(1, model.name, str(model.version), model.role)


def sums_samples(sums: Sums) -> Iterator[Sample]:
    """The ledger, and the jobs that are closed; those that are open come with the state, more often."""
    ledger = sums.ledger
    yield metrics.LEDGER_AGREES.of(ledger.agrees)
    yield metrics.LEDGER_EXCEPTIONS.of(ledger.forgotten, "forgotten")
    yield metrics.LEDGER_EXCEPTIONS.of(ledger.unproven, "unproven")
    yield metrics.LEDGER_EXCEPTIONS.of(ledger.unexplained, "unexplained")
    for (purpose, job_state), number in sums.jobs.items():
        if job_state not in _OPEN_STATES:
            yield metrics.JOBS.of(number, purpose, job_state)


def queue_samples(queues: Iterable[QueueState]) -> Iterator[Sample]:
    """Queues of a broker that answered."""
    yield metrics.BROKER_UP.of(1)
    for queue in queues:
        yield metrics.QUEUE_MESSAGES.of(queue.ready, queue.name, "ready")
        if queue.held is not None:
            yield metrics.QUEUE_MESSAGES.of(queue.held, queue.name, "held")
        yield metrics.QUEUE_CONSUMERS.of(queue.consumers, queue.name)


def database_samples(database: DatabaseState) -> Iterator[Sample]:
    """A database that answered."""
    yield metrics.DATABASE_UP.of(1)
    for state, number in database.connections.items():
        yield metrics.DATABASE_CONNECTIONS.of(number, state)
    yield metrics.DATABASE_CONNECTIONS_LIMIT.of(database.connections_limit)
    yield metrics.DATABASE_SIZE.of(database.size_bytes)
    yield metrics.DATABASE_BLOCKS.of(database.blocks_from_cache, "cache")
    yield metrics.DATABASE_BLOCKS.of(database.blocks_from_disk, "disk")


def disk_samples(disks: Iterable[Disk]) -> Iterator[Sample]:
    """Room on the disks."""
    for disk in disks:
        yield metrics.DISK_FREE.of(disk.free_bytes, disk.place)
        yield metrics.DISK_SIZE.of(disk.size_bytes, disk.place)


def integrity_samples(state: IntegrityState) -> Iterator[Sample]:
    """What the comparisons of database and blob store say; nothing before the first."""
    if state.standing is not None:
        for kind, subject in FAULTS:
            count, _ = state.standing.tally(kind, subject)
            yield metrics.INTEGRITY_FINDINGS.of(count, kind.value, subject.value)
    if state.done is not None and state.done.ended_at is not None:
        yield metrics.INTEGRITY_LAST_SUCCESS.of(state.done.ended_at.timestamp())
        yield metrics.INTEGRITY_SECONDS.of((state.done.ended_at - state.done.begun_at).total_seconds())
        yield metrics.INTEGRITY_READ.of(state.done.read_bytes)


def quality_samples(quality: Quality) -> Iterator[Sample]:
    """Tag quality; what cannot be told has no sample."""
    for metric, value in (
        (metrics.REVIEWED_PRECISION, quality.precision),
        (metrics.CALIBRATION_ERROR, quality.calibration_error),
        (metrics.AUTO_ACCEPTED_SHARE, quality.auto_accepted_share),
        (metrics.TAGGINGS_REVIEWED_SHARE, quality.reviewed_share),
    ):
        if value is not None:
            yield metric.of(value)
    for tag in quality.tags:
        yield metrics.TAG_REVIEWED_PRECISION.of(tag.accepted / (tag.accepted + tag.rejected), tag.slug)
        yield metrics.TAG_REVIEWS.of(tag.accepted, tag.slug, "accepted")
        yield metrics.TAG_REVIEWS.of(tag.rejected, tag.slug, "rejected")
    yield metrics.TAG_REVIEWS.of(quality.other_accepted, OTHER_TAGS, "accepted")
    yield metrics.TAG_REVIEWS.of(quality.other_rejected, OTHER_TAGS, "rejected")


def drift_samples(drift: Drift | None) -> Iterator[Sample]:
    """Drift of the champion's answers; nothing where there are too few."""
    if drift is not None:
        for distribution, index in drift.psi.items():
            yield metrics.SCORE_DRIFT.of(index, str(drift.version), distribution)
