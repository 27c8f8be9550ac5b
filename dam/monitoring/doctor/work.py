"""The work itself: what became of it, what waits, and whether somebody does it."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from dam.jobs.ledger import ledger
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, skipped, warning
from dam.monitoring.doctor.integrity import integrity
from dam.monitoring.limits import CONTROLLER_SILENT, RELAY_SILENT, SLOW_S, STUCK_S
from dam.monitoring.state import State, rounds_read, state_read
from dam.rollout.selectors import rollout_get


def tables() -> Finding:
    """Whether there is anything to look at."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('jobs_round') IS NOT NULL")
            (there,) = cursor.fetchone()
    except (OperationalError, InterfaceError):
        return skipped("the database does not answer")
    return ok("there") if there else failure("there are none", mend="Make them: `vitrine migrate`.")


def agreement() -> Finding:
    """Every picture is tagged, waiting or failed with a reason, and every job accounted for."""
    sums = ledger()
    if not sums.agrees:
        return failure(
            f"does not agree: {sums.forgotten} pending without a job, {sums.unproven} tagged without a "
            f"prediction, {sums.unexplained} failed without a failed job",
            mend="`vitrine reconcile` issues missing jobs; `vitrine ledger` shows the sums.",
        )
    return ok(f"agrees: {sums.assets:,} pictures, {sums.tagged:,} tagged, {sums.pending:,} wait")


def dead_letters() -> Finding:
    """Messages that the queue gave up and nobody has settled."""
    kept = state_read().dead_letters
    if not kept:
        return ok("none")
    said = ", ".join(f"{number:,} of {queue}" for queue, number in sorted(kept.items()))
    return warning(
        said, mend="`vitrine dead_letters list` shows why; `replay --all` tries again, `drop` lets go."
    )


def failed_pictures() -> Finding:
    """Pictures that failed, by their reasons."""
    assets = state_read().assets
    if not assets.failed:
        return ok("none")
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(assets.failed_by_reason.items()))
    return ok(f"{assets.failed:,} of {assets.total:,}: {reasons}")


def oldest_job() -> list[Finding]:
    """How long the oldest job of each lane has been waiting."""
    state = state_read()
    found = [one for lane in SLOW_S if (one := _waiting(state, lane))]
    return found or [ok("nothing waits for long")]


def _waiting(state: State, lane: str) -> Finding | None:
    for where, who, command in (
        ("queued", "the relay does not take it", "Look for `vitrine relay` and its log"),
        ("published", "no answer comes", "Look for the workers, the model server and the results writer"),
    ):
        age_s = state.jobs.oldest_s[where, lane]
        if age_s > SLOW_S[lane]:
            tell = failure if age_s > STUCK_S[lane] else warning
            return tell(
                f"the oldest is {where} since {_age(age_s)}: {who}",
                mend=f"{command}; `vitrine reconcile` publishes again what was lost.",
            ).of(lane)
    return None


def relay() -> Finding:
    """Does its rounds."""
    begun = [one.begun_at for one in rounds_read()]
    if not begun:
        return failure("no relay has ever run", mend="Start it: `vitrine relay`.")
    silent = timezone.now() - max(begun)
    if silent > RELAY_SILENT:
        return failure(
            f"none has begun a round for {_age(silent.total_seconds())}: uploads are not published",
            mend="Start it, `vitrine relay`, or read why it waits in its log.",
        )
    return ok(f"began its last round {_age(max(0.0, silent.total_seconds()))} ago")


def controller() -> Finding:
    """Was heard lately, if it was ever needed."""
    rollout = rollout_get()
    if rollout.reported_at is None:
        return skipped("never heard: the model server's default version answers")
    silent = timezone.now() - rollout.reported_at
    if silent > CONTROLLER_SILENT:
        return warning(
            f"not heard for {_age(silent.total_seconds())}: pictures are tagged, nothing is promoted",
            mend="Start it: `python -m model_training controller` (docs/rollout.md).",
        )
    serves = rollout.champion.version if rollout.champion else None
    return ok(f"version {serves} is in service" if serves else "nothing is in service yet")


def _age(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


WORK = Area(
    "Work",
    (
        Check("ledger", agreement),
        Check("dead letters", dead_letters),
        Check("failed pictures", failed_pictures),
        Check("originals", integrity),
        Check("oldest job", oldest_job),
        Check("relay", relay),
        Check("controller", controller),
    ),
    gate=Check("tables", tables),
    reads_database=True,
)
