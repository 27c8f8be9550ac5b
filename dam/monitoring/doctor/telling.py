"""The report, for people and for programs; no secret is in it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dam.monitoring.doctor.findings import Status, Told
from pipeline.secret_files import SecretFileError, secret
from pipeline.telemetry.logs import HIDDEN, hide_secrets

_MARKS = {
    Status.OK: "[green]✓[/]",
    Status.WARNING: "[bold yellow]![/]",
    Status.FAILURE: "[bold red]✗[/]",
    Status.SKIPPED: "[dim]–[/]",
}
_SECRET_VARIABLES = re.compile(r"(PASSWORD|SECRET|TOKEN|ACCESS_KEY|_KEY)$")
_SHORTEST_SECRET = 4


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with passwords in addresses, and the values of secret variables, blotted out."""
    named = {name.removesuffix("_FILE") for name in environment}
    for name in filter(_SECRET_VARIABLES.search, named):
        # Both may be set, which is a fault that is told; then what stands in the environment is hidden.
        value = environment.get(name) or _in_its_file(name, environment)
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, HIDDEN)
    line: dict[str, Any] = {"text": text}
    return str(hide_secrets(None, "", line)["text"])


def _in_its_file(name: str, environment: Mapping[str, str]) -> str:
    try:
        return secret(name, environment)
    except SecretFileError:
        return ""


def worst(told: Iterable[Told]) -> Status:
    """What the whole comes to; ``ok`` if nothing was wrong."""
    found = {one.finding.status for one in told}
    return next((status for status in (Status.FAILURE, Status.WARNING) if status in found), Status.OK)


def as_facts(told: Sequence[Told]) -> dict[str, Any]:
    """For JSON."""
    return {
        "verdict": worst(told).value,
        "counts": {status.value: count for status, count in _counts(told).items()},
        "checks": [
            {
                "area": one.area,
                "name": one.name,
                "status": one.finding.status.value,
                "found": without_secrets(one.finding.found),
                "mend": without_secrets(one.finding.mend),
            }
            for one in told
        ],
    }


def print_report(console: Console, told: Sequence[Told], *, brief: bool = False) -> None:
    """A table of what was found, with how to mend it below each thing that is wrong.

    Args:
        console: where to.
        told: what was found.
        brief: leave out what is well.
    """
    shown = [one for one in told if not brief or one.finding.mend]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(width=1)
    table.add_column(max_width=26)
    table.add_column(ratio=1, overflow="fold")
    area = ""
    for one in shown:
        if one.area != area:
            if area:
                table.add_row()
            table.add_row("", f"[bold]{escape(one.area)}[/]", "")
            area = one.area
        finding = one.finding
        found = escape(without_secrets(finding.found))
        if finding.status is Status.SKIPPED:
            found = f"[dim]{found}[/]"
        table.add_row(_MARKS[finding.status], escape(one.name), found)
        if finding.mend:
            table.add_row("", "", f"[bold]→[/] {escape(without_secrets(finding.mend))}")
    if shown:
        console.print(table, highlight=False)
        console.print()
    console.print(_verdict(told), highlight=False)


def _verdict(told: Sequence[Told]) -> str:
    counts = _counts(told)
    wrong = [
        f"{counts[status]} {status.value}{'s' if counts[status] != 1 else ''}"
        for status in (Status.FAILURE, Status.WARNING)
        if counts[status]
    ]
    rest = f"{counts[Status.OK]} fine, {counts[Status.SKIPPED]} not looked at"
    if not wrong:
        return f"[green]All is well[/]: {rest}."
    colour = "red" if counts[Status.FAILURE] else "yellow"
    return f"[bold {colour}]{', '.join(wrong)}[/]; {rest}."


def _counts(told: Iterable[Told]) -> dict[Status, int]:
    counted = Counter(one.finding.status for one in told)
    return {status: counted[status] for status in Status}
