from __future__ import annotations

import argparse
import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dam.assets.models import Asset
from dam.search.compile import compile_query
from dam.search.language import SearchError
from dam.tagging.models import ModelVersion
from dam.tagging.retagging import assets_retag, assets_to_retag, campaign_jobs_open

# The label of whatever is in service. Jobs that ask for it carry none: then a roll-back takes them along.
_IN_SERVICE = "champion"
_LOOK_EVERY_S = 1.0


class Command(BaseCommand):
    help = (
        "Have pictures tagged again by the version in service, those that another one tagged. What people "
        "decided stays, and what people wait for goes first. Stopped half-way, run it again: it goes on."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--query", default="", metavar="Q", help="only what this search finds")
        parser.add_argument(
            "--model-version", type=int, metavar="N", help="only pictures whose tags are this version's"
        )
        parser.add_argument(
            "--label",
            default=_IN_SERVICE,
            help="of the version that is to tag them, on the model server (default: %(default)s)",
        )
        parser.add_argument(
            "--again", action="store_true", help="also pictures that the version tagged already"
        )
        parser.add_argument(
            "--open",
            type=_positive,
            default=2000,
            metavar="N",
            help="never more jobs of campaigns open at a time (default: %(default)s)",
        )
        parser.add_argument("--wait", action="store_true", help="until the last of them is answered")
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        assets = _chosen(options)
        found = assets.count()
        issued = 0
        if not options["dry_run"]:
            try:
                issued = self._issue(assets, found, options)
            except KeyboardInterrupt:
                raise CommandError("stopped; run it again to continue") from None
        still_open = campaign_jobs_open()
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {"found": found, "issued": issued, "open": still_open, "dry_run": options["dry_run"]}
                )
            )
        else:
            self.stdout.write(f"pictures: {found:,}, jobs issued: {issued:,}, jobs open: {still_open:,}")

    def _issue(self, assets: QuerySet[Asset], found: int, options: dict[str, Any]) -> int:
        label = options["label"]
        # The bar goes to standard error, so that it is seen when the output is piped.
        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        hidden = options["json"] or not console.is_terminal
        with Progress(*columns, console=console, disable=hidden) as progress:
            task = progress.add_task("Asking", total=found)
            issued = assets_retag(
                assets=assets,
                model_label="" if label == _IN_SERVICE else label,
                most_open=options["open"],
                pause=_pause,
                advance=lambda count: progress.advance(task, count),
            )
            if options["wait"]:
                task = progress.add_task("Waiting for answers", total=campaign_jobs_open())
                while left := campaign_jobs_open():
                    progress.update(task, completed=(progress.tasks[task].total or 0) - left)
                    _pause()
        return issued


def _chosen(options: dict[str, Any]) -> QuerySet[Asset]:
    """The pictures that the options name.

    Raises:
        CommandError: they name none.
    """
    try:
        assets = Asset.objects.filter(compile_query(options["query"], user=None).condition)
    except SearchError as error:
        raise CommandError(f"the query cannot be understood: {error}") from None
    wanted = ModelVersion.objects.filter(alias=options["label"]).first()
    answered_by = _version(options["model_version"])
    if wanted is None and answered_by is None and not options["query"]:
        raise CommandError(
            f"no version is known to serve as {options['label']}, so nobody knows which pictures it tagged: "
            "name them by --query or --model-version"
        )
    return assets_to_retag(
        assets=assets, answered_by=answered_by, wanted=None if options["again"] else wanted
    )


def _version(number: int | None) -> ModelVersion | None:
    if number is None:
        return None
    try:
        return ModelVersion.objects.get(version=number)
    except ModelVersion.DoesNotExist:
        raise CommandError(f"there is no version {number}") from None
    except ModelVersion.MultipleObjectsReturned:
        raise CommandError(f"several models have a version {number}: use --query") from None


def _pause() -> None:
    time.sleep(_LOOK_EVERY_S)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
