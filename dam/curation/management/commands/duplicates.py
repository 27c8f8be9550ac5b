from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress

from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset
from dam.curation.duplicates import Pair, duplicate_pairs
from dam.curation.pairing import pairs_find_again, pairs_find_all, pictures_waiting
from dam.tagging.models import Likeness


class Command(BaseCommand):
    help = (
        "Pictures that look the same: compare what is new with the library, or list the pairs that somebody "
        "sees. The relay compares what is new by itself."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        todo = parser.add_subparsers(dest="todo", required=True)
        find = todo.add_parser("find", help="compare pictures whose fingerprints are new with all others")
        find.add_argument("--again", action="store_true", help="compare every picture anew")
        listing = todo.add_parser("list", help="open pairs, the latest found first")
        listing.add_argument("--as", dest="username", required=True, help="whose view of the library")
        listing.add_argument("--limit", type=int, default=30, help="how many at most (default: 30)")
        listing.add_argument("--cursor", default="", help="where the page before ended")
        for one in (find, listing):
            one.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        {"find": self._find, "list": self._list}[options["todo"]](options)

    def _find(self, options: dict[str, Any]) -> None:
        again = options["again"]
        waiting = Likeness.objects.filter(fingerprint__isnull=False).count() if again else pictures_waiting()
        with Progress(console=Console(stderr=True), disable=options["json"], transient=True) as progress:
            task = progress.add_task("Comparing pictures", total=waiting)
            find = pairs_find_again if again else pairs_find_all
            count = find(advance=lambda step: progress.advance(task, step))
        if options["json"]:
            self.stdout.write(json.dumps({"compared": count}))
        else:
            self.stdout.write(f"{count:,} pictures compared")

    def _list(self, options: dict[str, Any]) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"there is no user {options['username']}")
        try:
            page = duplicate_pairs(
                user=user, cursor=options["cursor"] or None, limit=max(options["limit"], 1)
            )
        except InvalidChangeError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            rows = [_facts(pair) for pair in page.pairs]
            self.stdout.write(json.dumps({"pairs": rows, "next_cursor": page.next_cursor}))
            return
        for pair in page.pairs:
            same = "the same bytes" if pair.same_bytes else f"{pair.pair.distance} of 64 bits differ"
            self.stdout.write(f"{pair.pair.pk:>8}  {same}")
            for asset in (pair.first, pair.second):
                self.stdout.write(f"{'':>8}  {asset.pk:>8}  {asset.width} × {asset.height}  {asset.filename}")
        if not page.pairs:
            self.stdout.write("There are none.")
        if page.next_cursor:
            self.stdout.write(f"more: --cursor {page.next_cursor}")


def _facts(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.pair.pk,
        "distance": pair.pair.distance,
        "same_bytes": pair.same_bytes,
        "pictures": [_picture(asset) for asset in (pair.first, pair.second)],
    }


def _picture(asset: Asset) -> dict[str, Any]:
    return {
        "id": asset.pk,
        "filename": asset.filename,
        "width": asset.width,
        "height": asset.height,
        "size": asset.size,
    }
