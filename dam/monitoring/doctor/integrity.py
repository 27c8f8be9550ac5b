"""What the last comparison of database and blob store found; the doctor makes none, for it takes its time."""

from __future__ import annotations

from django.utils import timezone

from dam.integrity.models import IntegrityRun
from dam.integrity.report import DAMAGE, FAULTS, Outcome
from dam.integrity.selectors import integrity_read
from dam.monitoring.doctor.findings import Finding, failure, ok, skipped, warning
from dam.monitoring.limits import INTEGRITY_STALE


def integrity() -> Finding:
    """No original was missing or changed when it was looked for last."""
    state = integrity_read()
    if state.standing is None:
        return skipped("never compared with the blob store: `vitrine integrity` does so")
    if state.standing.outcome == Outcome.WRONG_STORE:
        return failure(
            f"{_when(state.standing)}: {state.standing.trouble}",
            mend="Mend DATABASE_URL or VITRINE_BLOB_URL, then run `vitrine integrity`.",
        )
    if state.standing.damaged:
        said = ", ".join(
            f"{FAULTS[fault]}: {count:,}" for fault in DAMAGE if (count := state.standing.tally(*fault)[0])
        )
        return failure(
            f"{_when(state.standing)}: {said}",
            mend="`vitrine integrity` names them. Upload the same files again or copy them from a backup "
            "(docs/integrity.md), then run it once more.",
        )
    if state.done is not None and timezone.now() - state.done.begun_at > INTEGRITY_STALE:
        return warning(
            f"the last comparison with the blob store was {_when(state.done)}",
            mend="Run `vitrine integrity --checksums 5%` every night (docs/integrity.md).",
        )
    read = f", {state.standing.read:,} of them read" if state.standing.read else ""
    return ok(f"{_when(state.standing)}: all {state.standing.originals:,} originals there{read}")


def _when(run: IntegrityRun) -> str:
    return f"{run.begun_at:%Y-%m-%d %H:%M} UTC"
