"""What the page *Status* says of the comparisons of database and blob store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from dam.integrity.models import IntegrityRun
from dam.integrity.report import DAMAGE, FAULTS, Outcome
from dam.integrity.selectors import IntegrityState
from dam.integrity.services import SILENT
from dam.monitoring.limits import INTEGRITY_STALE

_ENDED: dict[str, str] = {
    Outcome.STOPPED: "was stopped",
    Outcome.FAILED: "failed",
    Outcome.WRONG_STORE: "found nothing of this library in the store",
}


@dataclass(frozen=True, slots=True)
class FaultRow:
    """How many files have one fault."""

    words: str
    count: int
    size: int
    harm: bool
    """It cannot be made again."""
    href: str
    """Where they are listed."""


@dataclass(frozen=True, slots=True)
class IntegrityPanel:
    """The panel, after at least one run.

    Args:
        run: whose word stands; None: none has come to a verdict yet.
        rows: what it found, the worst first.
        mark: in a word or two.
        mark_level: ``agrees``, ``failed`` or empty.
        later: what became of a run after it; empty if there was none.
        href: where all runs are listed.
    """

    run: IntegrityRun | None
    rows: list[FaultRow]
    mark: str
    mark_level: str
    later: str
    href: str


def integrity_panel(state: IntegrityState, *, now: datetime) -> IntegrityPanel | None:
    """What is shown of the runs; None before the first."""
    newest, run = state.newest, state.standing
    if newest is None:
        return None
    rows = _rows(run) if run is not None else []
    harmed = run is not None and (run.damaged > 0 or run.outcome == Outcome.WRONG_STORE)
    mark, level = ("damaged", "failed") if harmed else ("sound", "agrees")
    if run is None:
        mark, level = "not known yet", ""
    later = _said_later(newest, now=now) if run is None or newest.pk != run.pk else ""
    return IntegrityPanel(run, rows, mark, level, later, reverse("admin:integrity_integrityrun_changelist"))


def damage_of(state: IntegrityState) -> tuple[str, str, str] | None:
    """What is wrong with the originals, what to do, and where they are listed; None if nothing is known."""
    run = state.standing
    if run is None:
        return None
    if run.outcome == Outcome.WRONG_STORE:
        said = "The blob store has nothing of what this database names."
        return said, f"{run.trouble}.", reverse("admin:integrity_integrityrun_change", args=[run.pk])
    if not run.damaged:
        return None
    are = "original is" if run.damaged == 1 else "originals are"
    return (
        f"{run.damaged:,} {are} missing or changed.",
        "Upload the same files again, or copy them from a backup; the next comparison takes the word back.",
        _list_of(run, harm="damage"),
    )


def is_stale(state: IntegrityState, *, now: datetime) -> bool:
    """Whether there were comparisons once, and none for long."""
    return state.done is not None and now - state.done.begun_at > INTEGRITY_STALE


def _rows(run: IntegrityRun) -> list[FaultRow]:
    def rows() -> Iterator[FaultRow]:
        for (kind, subject), words in FAULTS.items():
            count, size = run.tally(kind, subject)
            if count:
                href = _list_of(run, kind__exact=kind.value, subject__exact=subject.value)
                yield FaultRow(words, count, size, (kind, subject) in DAMAGE, href)

    return list(rows())


def _list_of(run: IntegrityRun, **choices: str) -> str:
    query = {"run__id__exact": run.pk, **choices}
    return reverse("admin:integrity_integrityfinding_changelist", query=query)


def _said_later(newest: IntegrityRun, *, now: datetime) -> str:
    if newest.outcome != Outcome.RUNNING:
        why = f": {newest.trouble}" if newest.trouble else ""
        return f"The newest one {_ENDED[newest.outcome]}{why}."
    if now - newest.updated_at > SILENT:
        return "The newest one was broken off."
    return f"One is under way: {newest.originals:,} originals looked for by now."
