"""Every write of the runs: each begins, is heard of, and ends with what it found."""

from __future__ import annotations

import getpass
import socket
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from dam.integrity.models import IntegrityFinding, IntegrityRun
from dam.integrity.report import Outcome, Report, readable

SILENT = timedelta(minutes=15)
"""A run that was not heard of for so long is not there any more."""

_RUNS_KEPT = 200


def run_begin(*, report: Report, command: str) -> None:
    """Record that a run began; those that were broken off are closed, and very old ones go."""
    now = timezone.now()
    IntegrityRun.objects.filter(outcome=Outcome.RUNNING, updated_at__lt=now - SILENT).update(
        outcome=Outcome.STOPPED, ended_at=now, trouble="broken off: the process was killed"
    )
    kept = IntegrityRun.objects.order_by("-id").values_list("pk", flat=True)[_RUNS_KEPT - 2 : _RUNS_KEPT - 1]
    for oldest in kept:
        IntegrityRun.objects.filter(pk__lt=oldest).delete()
    run = IntegrityRun(begun_at=report.begun_at, command=command[:200], store=report.store[:1024])
    _take(run, report)
    run.save()
    report.run_id = run.pk


def run_heard(*, report: Report) -> IntegrityRun:
    """Bring the numbers of a run that has begun up to date."""
    run = IntegrityRun(pk=report.run_id)
    run.save(update_fields=_take(run, report))
    return run


def run_end(*, report: Report) -> None:
    """Record how it ended, with the findings that the report kept."""
    with transaction.atomic():
        run = run_heard(report=report)
        IntegrityFinding.objects.bulk_create(
            (
                IntegrityFinding(
                    run=run,
                    kind=found.kind,
                    subject=found.subject,
                    path=readable(found.path),
                    size=found.size,
                    detail=found.detail[:500],
                    assets=[[asset.id, asset.filename] for asset in found.assets],
                )
                for found in report.worst_first()
            ),
            batch_size=500,
        )


def whose_command(words: str) -> str:
    """A command with the account and the machine that it runs by."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as containers have.
        user = "somebody"
    return f"{words}, by {user} on {socket.gethostname()}"


def _take(run: IntegrityRun, report: Report) -> list[str]:
    """Copy a report's numbers; the names of the columns."""
    numbers = {
        "updated_at": timezone.now(),
        "ended_at": report.ended_at,
        "outcome": report.outcome,
        "trouble": report.trouble[:500],
        "checksums": report.checksums,
        "read_from": report.read_from,
        "read_until": report.read_until,
        "originals": report.originals.count,
        "original_bytes": report.originals.size,
        "renditions": report.renditions,
        "listed": report.listed.count,
        "listed_bytes": report.listed.size,
        "read": report.read.count,
        "read_bytes": report.read.size,
        "damaged": report.damaged,
        "tallies": [
            [kind, subject, tally.count, tally.size] for (kind, subject), tally in report.tallies.items()
        ],
    }
    for name, value in numbers.items():
        setattr(run, name, value)
    return list(numbers)
