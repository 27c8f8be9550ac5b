import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table

from dam.jobs.ledger import Ledger, ledger


class Command(BaseCommand):
    help = "What became of every upload and every job. Exit code 1 if the sums do not agree."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        sums = ledger()
        if options["json"]:
            self.stdout.write(json.dumps(sums.as_dict()))
        else:
            _print(sums)
        if not sums.agrees:
            raise CommandError(
                f"the ledger does not agree: {sums.forgotten} pending without a job, {sums.unproven} tagged "
                f"without a prediction, {sums.unexplained} failed without a failed job"
            )


def _print(sums: Ledger) -> None:
    table = Table(title="Ledger", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name in ("assets", "tagged", "pending", "failed"):
        table.add_row(name, str(getattr(sums, name)))
    for reason, count in sorted(sums.failed_by_reason.items()):
        table.add_row(f"  failed: {reason}", str(count))
    table.add_section()
    for state, count in sums.jobs.items():
        table.add_row(f"jobs {state}", str(count))
    if sums.oldest_open_s is not None:
        table.add_row("oldest open job", _age(sums.oldest_open_s))
    table.add_section()
    table.add_row("dead letters kept", str(sums.dead_letters))
    Console().print(table)


def _age(seconds: float) -> str:
    """In the largest unit that gives a number above one."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
