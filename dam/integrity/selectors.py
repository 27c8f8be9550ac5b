"""What the last runs said."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q

from dam.integrity.models import IntegrityFinding, IntegrityRun
from dam.integrity.report import Kind, Outcome, Subject

_VERDICTS = (Outcome.DONE, Outcome.WRONG_STORE)


@dataclass(frozen=True, slots=True)
class IntegrityState:
    """What the runs say; each is None as long as there is no such run."""

    newest: IntegrityRun | None
    """The one that began last, however it ended or whether it goes on."""
    done: IntegrityRun | None
    """The last one that came to its end."""
    standing: IntegrityRun | None
    """The one whose word stands."""


def integrity_read() -> IntegrityState:
    """What the runs say now, in three small statements."""
    return IntegrityState(run_newest(), run_done(), run_standing())


def run_newest() -> IntegrityRun | None:
    """The run that began last, however it ended or whether it goes on."""
    return IntegrityRun.objects.order_by("-id").first()


def run_done() -> IntegrityRun | None:
    """The last one that came to its end."""
    return IntegrityRun.objects.filter(outcome=Outcome.DONE).order_by("-id").first()


def run_standing() -> IntegrityRun | None:
    """The run whose word stands: the last that came to a verdict, or that ended with damage before it did.

    One that was stopped without having found any says nothing against an earlier one.
    """
    stands = Q(outcome__in=_VERDICTS) | (Q(damaged__gt=0) & ~Q(outcome=Outcome.RUNNING))
    return IntegrityRun.objects.filter(stands).order_by("-id").first()


def suspects() -> frozenset[str]:
    """Paths of originals that were found changed by the last run that was done, or by one since.

    A later run that reads no bytes, or those of others, would otherwise forget them.
    """
    done = run_done()
    found = IntegrityFinding.objects.filter(kind=Kind.MISMATCHED, subject=Subject.ORIGINAL)
    if done is not None:
        found = found.filter(run_id__gte=done.pk)
    return frozenset(found.values_list("path", flat=True))


def read_last_until() -> str:
    """Where the last run that read a share of the originals got to: a sha256, or empty for the end."""
    shares = IntegrityRun.objects.filter(checksums__endswith="%").order_by("-id")
    return shares.values_list("read_until", flat=True).first() or ""
