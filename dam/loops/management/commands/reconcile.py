from __future__ import annotations

import json
import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.assets.orphans import SweepRefusedError
from dam.loops.reconcile import Reconciled, reconcile
from pipeline.ports import DependencyDownError

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise ArgumentTypeError("a number with s, m, h or d behind it, such as 90m")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


class Command(BaseCommand):
    help = (
        "Put right what crashes and outages left behind: publish again what was published too long ago, "
        "issue the jobs of pending assets that have none, delete bytes that nothing names. Running it again "
        "changes nothing. The relay does the same by itself."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--published-before",
            type=_duration,
            default="1h",
            metavar="AGE",
            help="publish again what has had no answer for so long, as 90m or 1h (default: 1h)",
        )
        parser.add_argument(
            "--orphans-before",
            type=_duration,
            default="24h",
            metavar="AGE",
            help="delete unnamed bytes that are as old as this (default: 24h)",
        )
        parser.add_argument(
            "--force-orphans",
            action="store_true",
            help="delete unnamed bytes even if they are so many that this looks like the wrong database",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            done = reconcile(
                published_before=options["published_before"],
                orphans_before=options["orphans_before"],
                dry_run=options["dry_run"],
                force_orphans=options["force_orphans"],
            )
        except (DependencyDownError, SweepRefusedError) as error:
            raise CommandError(f"the jobs are done, the bytes are not: {error}") from error
        if options["json"]:
            self.stdout.write(json.dumps(done.as_dict() | {"dry_run": options["dry_run"]}))
        else:
            self.stdout.write(_sentences(done, dry_run=options["dry_run"]))


def _sentences(done: Reconciled, *, dry_run: bool) -> str:
    lines = (
        f"jobs queued again        {done.published_again}",
        f"missing jobs issued      {done.requested}",
        f"orphan originals deleted {done.orphan_originals}",
        f"unused blobs deleted     {done.orphan_rows}",
    )
    if not dry_run:
        return "\n".join(lines)
    refusal = (f"the bytes would be left alone: {done.refusal}",) if done.refusal else ()
    return "\n".join(("nothing was changed; what would be done:", *lines, *refusal))
