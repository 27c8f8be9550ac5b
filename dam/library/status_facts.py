"""What the page *Status* is drawn from: the catalogue now, and what else answers as it answered last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dam.integrity.selectors import IntegrityState, integrity_read
from dam.jobs.ledger import Ledger, ledger
from dam.jobs.models import DeadLetter
from dam.monitoring.lately import Known, Lately
from dam.monitoring.places import DatabaseState, Disk, blob_store_outage, database_read, disks_read
from dam.monitoring.queues import QueueState, queues_read
from dam.monitoring.recent import (
    FailedJob,
    KeptLetter,
    Throughput,
    dead_letters_newest,
    failed_jobs_newest,
    throughput_read,
)
from dam.monitoring.state import RoundBegun, State, rounds_read, state_read
from dam.rollout.models import Rollout
from dam.rollout.selectors import rollout_get
from dam.tagging.models import Prediction

NEWEST = 8
"""Of what failed, so many are shown."""

# Each is asked beside the requests: a broker or a store that hangs holds up no page, and the ledger, which
# looks at every row, is read once a minute however many look on.
_queues: Lately[tuple[QueueState, ...]] = Lately(queues_read, every_s=2.0, patience_s=1.5)
_blob_store: Lately[str] = Lately(blob_store_outage, every_s=15.0, patience_s=0.5)
_ledger: Lately[Ledger] = Lately(ledger, every_s=60.0, patience_s=1.5)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the page shows."""

    state: State
    ledger: Known[Ledger]
    queues: Known[tuple[QueueState, ...]]
    blob_store: Known[str]
    """Its value says what is wrong with the store."""
    rollout: Rollout
    throughput: Throughput
    answered_at: datetime | None
    """When the newest answer was recorded."""
    rounds: Sequence[RoundBegun]
    disks: Sequence[Disk]
    disks_problem: str
    database: DatabaseState
    integrity: IntegrityState
    failed_jobs: Sequence[FailedJob]
    dead_letters: Sequence[KeptLetter]
    dead_since: datetime | None
    """When the oldest dead letter was seen that nobody has settled."""


def facts_read() -> Facts:
    """Read the catalogue, in a dozen small statements, and take the rest as it is known."""
    disks, disks_problem = _disks()
    return Facts(
        state=state_read(),
        ledger=_ledger.known(),
        queues=_queues.known(),
        blob_store=_blob_store.known(),
        rollout=rollout_get(),
        throughput=throughput_read(),
        answered_at=Prediction.objects.order_by("-pk").values_list("created_at", flat=True).first(),
        rounds=rounds_read(),
        disks=disks,
        disks_problem=disks_problem,
        database=database_read(),
        integrity=integrity_read(),
        failed_jobs=failed_jobs_newest(NEWEST),
        dead_letters=dead_letters_newest(NEWEST),
        dead_since=DeadLetter.objects.filter(state=DeadLetter.State.KEPT)
        .order_by("pk")
        .values_list("first_seen", flat=True)
        .first(),
    )


def _disks() -> tuple[Sequence[Disk], str]:
    """The disks, one for each file system; or what is wrong with a place."""
    try:
        found = disks_read()
    except OSError as error:
        return (), f"{error.filename}: {error.strerror}"
    by_device: dict[int, Disk] = {}
    for disk in found:
        device = disk.path.stat().st_dev
        known = by_device.get(device)
        by_device[device] = (
            disk
            if known is None
            else Disk(f"{known.place} and {disk.place}", known.path, disk.size_bytes, disk.free_bytes)
        )
    return tuple(by_device.values()), ""
