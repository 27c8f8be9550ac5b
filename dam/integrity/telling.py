"""The report for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.template.defaultfilters import filesizeformat
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dam.integrity.report import DAMAGE, FAULTS, MEND, Fault, Finding, Outcome, Report, readable


@contextmanager
def bar(console: Console, *, shown: bool) -> Iterator[Callable[[Report], None]]:
    """A progress bar while the block runs, or nothing; gives what shows a report so far."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[read]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not shown) as progress:
        task = progress.add_task("Originals", total=None, read="")

        def show(report: Report) -> None:
            read = f"{filesizeformat(report.read.size)} read" if report.read.count else ""
            progress.update(task, total=report.expected, completed=report.originals.count, read=read)

        yield show


def print_report(console: Console, report: Report, *, limit: int) -> None:
    """A table of what was compared and found, then the findings with what to do about them.

    Args:
        console: where to.
        report: what was found.
        limit: so many of each fault are told.
    """
    table = Table(title="Integrity", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row("originals", f"{report.originals.count:,}", _bytes(report.originals.size))
    table.add_row("renditions", f"{report.renditions:,}", "")
    table.add_row("files in the store", f"{report.listed.count:,}", _bytes(report.listed.size))
    table.add_row(
        f"originals read ({escape(report.checksums)})", f"{report.read.count:,}", _bytes(report.read.size)
    )
    table.add_section()
    for fault, words in FAULTS.items():
        tally = report.tallies[fault]
        colour = _colour(fault) if tally.count else "dim"
        table.add_row(f"[{colour}]{words}[/]", f"[{colour}]{tally.count:,}[/]", _bytes(tally.size))
    console.print(table, highlight=False)
    for fault, words in FAULTS.items():
        if count := report.tallies[fault].count:
            told = [found for found in report.worst_first() if found.fault == fault][:limit]
            _print_fault(console, fault, words, told, more=count - len(told))
    console.print()
    console.print(_verdict(report), highlight=False, soft_wrap=True)


def _print_fault(console: Console, fault: Fault, words: str, told: list[Finding], *, more: int) -> None:
    console.print(f"\n[bold {_colour(fault)}]{words.capitalize()}[/]", highlight=False)
    for found in told:
        said = [readable(found.path), *filter(None, [found.detail])]
        console.print(f"  {escape(', '.join(said))}", highlight=False, soft_wrap=True)
        for asset in found.assets:
            console.print(
                f"    picture {asset.id}: {escape(readable(asset.filename))}", highlight=False, soft_wrap=True
            )
    if more:
        console.print(f"  [dim]and {more:,} more[/]", highlight=False)
    console.print(f"  [bold]→[/] {escape(MEND[fault])}", highlight=False, soft_wrap=True)


def _verdict(report: Report) -> str:
    if report.outcome is Outcome.WRONG_STORE:
        return f"[bold red]{escape(report.trouble)}.[/]"
    if report.damaged:
        are = "is" if report.damaged == 1 else "are"
        verdict = f"[bold red]{report.damaged:,} of the originals {are} missing or changed.[/]"
    else:
        proof = f"; the bytes of {report.read.count:,} were read and are right" if report.read.count else ""
        verdict = f"[green]Every original is there{proof}.[/]"
    if report.outcome is Outcome.STOPPED:
        return (
            f"{verdict} [bold yellow]It was stopped before its end: this is of what was seen until then.[/]"
        )
    return verdict


def _colour(fault: Fault) -> str:
    return "red" if fault in DAMAGE else "yellow"


def _bytes(size: int) -> str:
    return filesizeformat(size) if size else ""
