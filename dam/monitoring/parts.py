"""The parts of the state, each with its own pace, so that a slow or silent one holds up no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import structlog

from dam.integrity.selectors import integrity_read
from dam.monitoring import metrics
from dam.monitoring.certificates import certificates_read
from dam.monitoring.drift import drift_read
from dam.monitoring.metrics import Sample
from dam.monitoring.places import blob_store_outage, database_read, disks_read
from dam.monitoring.quality import quality_read
from dam.monitoring.queues import queues_read
from dam.monitoring.samples import (
    database_samples,
    disk_samples,
    drift_samples,
    integrity_samples,
    model_samples,
    quality_samples,
    queue_samples,
    state_samples,
    sums_samples,
)
from dam.monitoring.settings import MonitorSettings
from dam.monitoring.state import models_in_service, state_read, sums_read

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is read every so often."""

    name: str
    every_s: float
    read: Callable[[], Iterator[Sample]]
    without: tuple[Sample, ...] = ()
    """What is so while it cannot be read."""


def parts_of(settings: MonitorSettings) -> tuple[Part, ...]:
    """What the monitor reads, and how often."""
    parts = (
        Part("state", settings.monitor_every_s, _state, (metrics.DATABASE_UP.of(0),)),
        Part("queues", settings.monitor_every_s, _queues, (metrics.BROKER_UP.of(0),)),
        Part("ledger", settings.monitor_ledger_every_s, _ledger),
        Part("blobs", settings.monitor_every_s, _blobs, (metrics.BLOB_STORE_UP.of(0),)),
        Part("places", settings.monitor_places_every_s, _places),
        Part("integrity", settings.monitor_places_every_s, _integrity),
        Part("quality", settings.monitor_quality_every_s, _quality),
    )
    if not (endpoints := settings.certificate_endpoints):
        return parts
    certificates = Part("certificates", settings.monitor_places_every_s, lambda: _certificates(endpoints))
    return (*parts, certificates)


def _state() -> Iterator[Sample]:
    return chain(
        state_samples(state_read()), model_samples(models_in_service()), database_samples(database_read())
    )


def _queues() -> Iterator[Sample]:
    return queue_samples(queues_read())


def _ledger() -> Iterator[Sample]:
    return sums_samples(sums_read())


def _quality() -> Iterator[Sample]:
    return chain(quality_samples(quality_read()), drift_samples(drift_read()))


def _blobs() -> Iterator[Sample]:
    outage = blob_store_outage()
    if outage:
        log.warning("the blob store does not answer", reason=outage)
    yield metrics.BLOB_STORE_UP.of(not outage)


def _places() -> Iterator[Sample]:
    return disk_samples(disks_read())


def _integrity() -> Iterator[Sample]:
    return integrity_samples(integrity_read())


def _certificates(endpoints: tuple[str, ...]) -> Iterator[Sample]:
    found, missing = certificates_read(endpoints)
    for one in missing:
        log.warning("no certificate", endpoint=one.endpoint, reason=one.why)
    for certificate in found:
        yield metrics.CERTIFICATE_EXPIRY.of(certificate.ends_at.timestamp(), certificate.endpoint)
