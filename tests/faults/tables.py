"""What runs found, as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from tests.faults.faults import FAULTS
from tests.faults.run import Outcome, Recovery

_TITLES = (
    "fault",
    "times",
    "from the fault to its healing, s",
    "first answer after healing, s: median (most)",
    "everything answered after healing, s: median (most)",
)


def recovery_table(outcomes: Sequence[Outcome]) -> str:
    """One line per fault over all runs, in Markdown."""
    recoveries = [recovery for outcome in outcomes for recovery in outcome.recoveries]
    rows = [_row([one for one in recoveries if one.fault == fault.name], fault.name) for fault in FAULTS]
    return _markdown(_TITLES, rows)


def run_table(outcomes: Iterable[Outcome]) -> str:
    """One line per run, in Markdown."""
    rows = []
    for outcome in outcomes:
        memory = outcome.facts.get("worker peak memory, MB", [])
        found = "nothing" if not outcome.complaints else " ".join("; ".join(outcome.complaints).split())
        rows.append(
            (
                str(outcome.seed),
                str(outcome.pictures),
                f"{outcome.wall_s:.0f}",
                str(outcome.facts.get("answers that came twice", "–")),
                str(max(memory, default=0)),
                found,
            )
        )
    titles = ("seed", "pictures", "run, s", "answers that came again", "worker's most memory, MB", "wrong")
    return _markdown(titles, rows)


def _row(found: Sequence[Recovery], name: str) -> tuple[str, ...]:
    lasted = [one.lasted_s for one in found]
    first = [one.first_answer_s for one in found if one.first_answer_s is not None]
    everything = [one.all_answered_s for one in found if one.all_answered_s is not None]
    return (name, str(len(found)), _middle(lasted), _spread(first), _spread(everything))


def _middle(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f}" if seconds else "–"


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.1f} ({max(seconds):.1f})" if seconds else "–"


def _markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
