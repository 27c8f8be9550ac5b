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
                f"the ledger does not agree: {sums.forgotten} pending without a job, "
                f"{sums.unproven} tagged without a prediction"
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
    Console().print(table)
