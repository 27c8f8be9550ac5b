from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console

from dam.monitoring.doctor.checks import AREAS
from dam.monitoring.doctor.examination import LIMIT_S, examine
from dam.monitoring.doctor.findings import Status
from dam.monitoring.doctor.telling import as_facts, print_report, worst


class Command(BaseCommand):
    help = (
        "Looks at configuration, connections, permissions, versions, disks and the work itself, and says how "
        "to mend what is wrong. Changes nothing, and runs beside Vitrine as well as without it. Exit code 1 "
        "if something failed."
    )
    # The checks would import every page and view, and stop at the first thing that is wrong.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
        parser.add_argument("--strict", action="store_true", help="exit code 1 for warnings, too")
        parser.add_argument("--brief", action="store_true", help="only what is wrong")
        parser.add_argument(
            "--limit",
            type=float,
            default=LIMIT_S,
            metavar="SECONDS",
            help=f"how long each check may take (default: {LIMIT_S:g})",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        with _silence():
            told = examine(AREAS, limit_s=options["limit"])
        if options["json"]:
            self.stdout.write(json.dumps(as_facts(told)))
        else:
            # OutputWrapper is a text stream in all but its type.
            print_report(Console(file=self.stdout), told, brief=options["brief"])  # type: ignore[arg-type]
        verdict = worst(told)
        if verdict is Status.FAILURE or (options["strict"] and verdict is Status.WARNING):
            raise SystemExit(1)


@contextmanager
def _silence() -> Iterator[None]:
    """Nobody else says beside the report what is in it."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(**before)
