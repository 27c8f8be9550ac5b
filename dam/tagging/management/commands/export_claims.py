from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dam.assets.watching import NoSuchCollectionError, collection_named
from dam.tagging.exporting import FILE, Export, assets_to_export, claims_export
from pipeline.ports import DependencyDownError


class Command(BaseCommand):
    help = (
        "Write what people decided on tags to files that a model can be trained with (docs/training.md): "
        "accepted, rejected, and suggested but undecided, kept apart. Running it again replaces the list and "
        "copies only pictures that are not there yet. Exit code 1 if bytes of a picture are missing (the "
        "others are written), if nobody decided on anything, and for an outage."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help=f"gets {FILE}")
        parser.add_argument(
            "--collection", metavar="NAME/NAME", help="only what is in it and below it (default: all)"
        )
        parser.add_argument(
            "--since",
            type=_moment,
            metavar="DATE",
            help="only assets on which somebody decided then or later: 2026-11-01 or 2026-11-01T12:00+01:00",
        )
        parser.add_argument(
            "--copy-pictures",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="write the pictures with a decision beside the list",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            collection = collection_named(options["collection"]) if options["collection"] else None
        except NoSuchCollectionError as error:
            raise CommandError(str(error)) from None
        assets = assets_to_export(collection=collection, since=options["since"])
        # The bar goes to standard error, so that it is seen when the output is piped.
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        hidden = options["json"] or not console.is_terminal
        try:
            with Progress(*columns, console=console, disable=hidden) as progress:
                task = progress.add_task("Exporting", total=assets.count())
                done = claims_export(
                    assets=assets,
                    to=options["to"],
                    copy_pictures=options["copy_pictures"],
                    advance=lambda number: progress.update(task, completed=number),
                )
        except DependencyDownError as error:
            raise CommandError(f"stopped; run it again to continue: {error}") from error
        except OSError as error:
            raise CommandError(f"{options['to']} cannot be written: {error.strerror or error}") from error
        self._tell(done, options)

    def _tell(self, done: Export, options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "assets": done.assets,
                        "decided": done.decided,
                        "copied": done.copied,
                        "missing": done.missing,
                    }
                )
            )
        else:
            self.stdout.write(
                f"{options['to'] / FILE}: {done.assets:,} assets, {done.decided:,} with a decision, "
                f"{done.copied:,} pictures copied"
            )
        if done.missing:
            first = ", ".join(map(str, done.missing[:20]))
            self.stderr.write(f"{len(done.missing)} assets left out, for their bytes are missing: {first}")
        if not done.decided:
            self.stderr.write("Nobody decided on any of them: there is nothing to learn from.")
        if done.missing or not done.decided:
            sys.exit(1)


def _moment(text: str) -> datetime:
    """A date or a time; without a zone it is the server's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-11-01") from None
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
