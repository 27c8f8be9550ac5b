from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict
from functools import partial
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dam.assets.accounts import NoSuchUserError, acting_user
from dam.assets.collections import level_required
from dam.assets.errors import NotAllowedError
from dam.assets.models import Collection, Level, SourceFile
from dam.assets.services import root_collection
from dam.assets.sources import Source, lie_in_each_other, source_from
from dam.assets.watching import NoSuchCollectionError, collection_named, source_sums
from dam.loops import watch
from dam.telemetry.process import telling
from pipeline.telemetry.health import Health
from pipeline.telemetry.requests import for_request, new_request_id
from pipeline.telemetry.stopping import stop_on_signals

_FOLDER_INTERVAL_S = 60.0
_BUCKET_INTERVAL_S = 30.0
_LONGEST_FILE_S = 600.0


class Command(BaseCommand):
    help = (
        "Take pictures from a folder or from s3://BUCKET/PREFIX as they appear, until stopped. Nothing there "
        "is moved or deleted. A file that is known is not taken again; one that changed becomes a new asset. "
        "Exit code 1 with --once if something was refused."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", nargs="?", metavar="FOLDER|s3://BUCKET/PREFIX")
        parser.add_argument("--user", help="whose pictures they become (default: the first administrator)")
        parser.add_argument("--collection", help="where they go, such as Travel/2026 (default: the root)")
        parser.add_argument(
            "--interval",
            type=float,
            metavar="S",
            help=f"look at everything so often (default: {_FOLDER_INTERVAL_S:.0f}; {_BUCKET_INTERVAL_S:.0f} "
            "for a bucket); between, a folder tells what changed",
        )
        parser.add_argument(
            "--settle",
            type=float,
            default=2.0,
            metavar="S",
            help="a file is complete when it stays unchanged for so long (default: 2)",
        )
        parser.add_argument("--once", action="store_true", help="take what is there, then end")
        parser.add_argument(
            "--events",
            action="store_true",
            help="read S3 event notifications, one JSON a line, from standard input",
        )
        parser.add_argument(
            "--list",
            action="store_true",
            help="print what became of the files of every source, or what was refused of one",
        )
        parser.add_argument("--json", action="store_true", help="the list as one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["list"]:
            self._list(options)
            return
        if options["source"] is None:
            raise CommandError("name a folder or s3://BUCKET/PREFIX, or ask for the --list")
        source = _source(options["source"])
        if lie_in_each_other(source.name, settings.BLOB_URL):
            raise CommandError("that is where the catalogue keeps its own files")
        bucket = source.name.startswith("s3://")
        if options["events"] and not bucket:
            raise CommandError("--events are those of a bucket; a folder needs none")
        try:
            user = acting_user(options["user"])
            collection = collection_named(options["collection"]) if options["collection"] else None
            level_required(user, collection or root_collection(), Level.CONTRIBUTE, "put pictures there")
        except Collection.DoesNotExist:
            raise CommandError(f"{user} may not see that collection") from None
        except (NoSuchUserError, NoSuchCollectionError, NotAllowedError) as error:
            raise CommandError(str(error)) from None

        stop = stop_on_signals()
        # What one run takes is one request, whose id is in its lines and goes on with every job.
        with telling("watch", max_silence_s=_LONGEST_FILE_S) as health, for_request(new_request_id()):
            watched = watch.Watch(
                source,
                user,
                collection,
                interval_s=options["interval"] or (_BUCKET_INTERVAL_S if bucket else _FOLDER_INTERVAL_S),
                settle_s=options["settle"],
                should_stop=partial(_is_asked, stop, health),
            )
            events = sys.stdin if options["events"] else None
            watch.run(watched, stop, once=options["once"], events=events, health=health)
        if options["once"] and watched.counts[SourceFile.Outcome.REFUSED]:
            sys.exit(1)

    def _list(self, options: dict[str, Any]) -> None:
        if options["source"] is None:
            self._print_sources(as_json=options["json"])
        else:
            self._print_refused(_source(options["source"]), as_json=options["json"])

    def _print_sources(self, *, as_json: bool) -> None:
        sums = source_sums()
        if as_json:
            facts = [{**asdict(one), "last": one.last.isoformat()} for one in sums]
            self.stdout.write(json.dumps({"sources": facts}))
            return
        table = Table("source", "taken", "same bytes", "refused", "last", title="Watched sources")
        for one in sums:
            numbers = (one.taken, one.same_bytes, one.refused)
            table.add_row(Text(one.source), *map(str, numbers), f"{one.last:%Y-%m-%d %H:%M:%S}")
        self.stdout.write(_drawn(table))

    def _print_refused(self, source: Source, *, as_json: bool) -> None:
        rows = SourceFile.objects.filter(source=source.name, outcome=SourceFile.Outcome.REFUSED)
        facts = list(rows.order_by("path").values("path", "reason", "detail"))
        if as_json:
            self.stdout.write(json.dumps({"source": source.name, "refused": facts}))
            return
        table = Table("file", "reason", "detail", title=f"Refused of {source.name}")
        for one in facts:
            table.add_row(Text(one["path"]), one["reason"], Text(one["detail"]))
        self.stdout.write(_drawn(table))


def _is_asked(stop: threading.Event, health: Health) -> bool:
    """Whether to stop; asked between two files, each of which may take a while."""
    health.beat()
    return stop.is_set()


def _source(address: str) -> Source:
    try:
        return source_from(address)
    except ValueError as error:
        raise CommandError(str(error)) from None


def _drawn(table: Table) -> str:
    console = Console(file=None, width=120, force_terminal=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip("\n")
