from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from dam.integrity.check import check, checksums_share
from dam.integrity.report import Outcome
from dam.integrity.services import whose_command
from dam.integrity.telling import bar, print_report
from pipeline.ports import DependencyDownError
from pipeline.telemetry.stopping import stop_on_signals

_STOPPED = 130  # as shells have it: 128 + SIGINT


class Command(BaseCommand):
    help = (
        "Compares what the database names with what lies in the blob store: what is missing, what is not "
        "what it was, what nothing names. Deletes and changes nothing; runs beside everything else. Exit "
        "code 1 if an original is missing or changed, or if that could not be found out."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--checksums",
            type=_checksums,
            default="none",
            metavar="WHOSE",
            help="read the bytes of originals and compare their sha256: all, none, or a share such as 5%% of "
            "those that were read longest ago (default: none: sizes only)",
        )
        parser.add_argument(
            "--limit", type=_number, default=20, metavar="N", help="tell so many of each kind (default: 20)"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        stop = stop_on_signals()
        words = shlex.join(["vitrine", "integrity", "--checksums", options["checksums"]])
        # The bar goes to standard error, so that it is seen when the output is piped.
        console = Console(stderr=True)
        try:
            with bar(console, shown=console.is_terminal and not options["json"]) as progress:
                report = check(
                    checksums=options["checksums"],
                    should_stop=stop.is_set,
                    progress=progress,
                    command=whose_command(words),
                )
        except DependencyDownError as error:
            raise CommandError(f"the blob store cannot be looked through: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(limit=options["limit"])))
        else:
            # OutputWrapper is a text stream in all but its type.
            print_report(Console(file=self.stdout), report, limit=options["limit"])  # type: ignore[arg-type]
        if report.damaged:
            sys.exit(1)
        if report.outcome is Outcome.STOPPED:
            sys.exit(_STOPPED)


def _checksums(text: str) -> str:
    try:
        checksums_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("at least 0")
    return number
