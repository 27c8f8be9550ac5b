from __future__ import annotations

import json
import re
import signal
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.assets.trash import trash_due, trash_empty

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})([mhdw])")


class Command(BaseCommand):
    help = (
        "Delete for ever what has lain in the trash for long, everywhere: a task for a timer. Whoever stops "
        "it loses nothing; the next run goes on. The bytes go with `vitrine reconcile`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            metavar="AGE",
            help="how long it must have lain there: 30d, 12h, 0d; else as VITRINE_TRASH_DAYS says",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        asked_for = options["older_than"]
        older_than = _age(asked_for) if asked_for else timedelta(days=settings.TRASH_DAYS)
        if options["dry_run"]:
            count = trash_due(older_than=older_than).count()
            self._tell(options, count, "would be deleted for ever")
            return
        asked: list[int] = []
        before = signal.signal(signal.SIGINT, lambda *_: asked.append(1))
        try:
            count = trash_empty(older_than=older_than, should_stop=lambda: bool(asked))
        finally:
            signal.signal(signal.SIGINT, before)
        self._tell(options, count, "deleted for ever")

    def _tell(self, options: dict[str, Any], count: int, what: str) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"pictures": count, "dry_run": options["dry_run"]}))
        else:
            self.stdout.write(f"{count:,} {'picture' if count == 1 else 'pictures'} {what}.")


def _age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise CommandError(f"not an age: {text}; use a number and m, h, d or w, such as 30d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
