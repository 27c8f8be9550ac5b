from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dam.assets.replays import dead_letters_replay
from dam.jobs.dead_letters import body_for_people, dead_letters, purpose_of
from dam.jobs.models import DeadLetter
from dam.jobs.services import dead_letter_drop

_ANY = "any"


class Command(BaseCommand):
    help = (
        "Messages that the queue gave up: list them, show one, replay or drop them. Replaying asks for the "
        "picture's tags again, once. Exit code 1 for an id that there is not and if anything was refused."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        todo = parser.add_subparsers(dest="todo", required=True)

        listing = todo.add_parser("list", help="those that wait for a decision, oldest first")
        states = (*DeadLetter.State.values, _ANY)
        listing.add_argument("--state", choices=states, default="kept", help="default: kept")
        listing.add_argument("--limit", type=int, default=100, help="how many at most (default: 100)")

        show = todo.add_parser("show", help="one, with its message")
        show.add_argument("id", type=int)

        replay = todo.add_parser("replay", help="ask for the tags of their pictures again")
        replay.add_argument("--force", action="store_true", help="also if a picture was tagged meanwhile")
        drop = todo.add_parser("drop", help="they are settled; nothing else changes")
        for chosen in (replay, drop):
            chosen.add_argument("ids", nargs="*", type=int, metavar="ID")
            chosen.add_argument("--all", action="store_true", help="all that are kept")
        for chosen in (listing, replay, drop):
            chosen.add_argument("--reason", default="", help="only those whose reason contains this")
        for chosen in (listing, show, replay, drop):
            chosen.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        {"list": self._list, "show": self._show, "replay": self._replay, "drop": self._drop}[options["todo"]](
            options
        )

    def _list(self, options: dict[str, Any]) -> None:
        state = "" if options["state"] == _ANY else options["state"]
        found = dead_letters(state=state, reason=options["reason"])
        letters, count = list(found.select_related("job")[: max(options["limit"], 0)]), found.count()
        if options["json"]:
            self.stdout.write(json.dumps({"count": count, "dead_letters": [_facts(one) for one in letters]}))
        elif not count:
            self.stdout.write("There are none.")
        else:
            self.stdout.write(_table(letters, count))

    def _show(self, options: dict[str, Any]) -> None:
        letter = dead_letters().filter(pk=options["id"]).first()
        if letter is None:
            raise CommandError(f"there is no dead letter {options['id']}")
        facts = _facts(letter)
        if options["json"]:
            self.stdout.write(json.dumps(facts | {"message": body_for_people(letter)}))
            return
        for name, value in facts.items():
            self.stdout.write(f"{name.replace('_', ' '):<15} {'–' if value in {None, ''} else value}")
        self.stdout.write("")
        self.stdout.write(body_for_people(letter))

    def _replay(self, options: dict[str, Any]) -> None:
        done = dead_letters_replay(letters=self._chosen(options), force=options["force"])
        self._tell(
            options,
            {"replayed": done.replayed, "jobs_issued": done.issued, "refused": done.refused},
            f"replayed: {done.replayed}, new jobs: {done.issued}, refused: {len(done.refused)}",
        )

    def _drop(self, options: dict[str, Any]) -> None:
        dropped = 0
        refused: dict[int, str] = {}
        for letter in self._chosen(options):
            try:
                dropped += dead_letter_drop(letter=letter)
            except ValueError as error:
                refused[letter.pk] = str(error)
        self._tell(
            options,
            {"dropped": dropped, "refused": refused},
            f"dropped: {dropped}, refused: {len(refused)}",
        )

    def _chosen(self, options: dict[str, Any]) -> list[DeadLetter]:
        ids = options["ids"]
        if bool(ids) == options["all"]:
            raise CommandError("give either ids or --all")
        if not ids:
            kept = dead_letters(state=DeadLetter.State.KEPT, reason=options["reason"])
            return list(kept.only("pk"))
        letters = list(dead_letters(reason=options["reason"]).filter(pk__in=ids).only("pk"))
        missing = sorted({*ids} - {letter.pk for letter in letters})
        if missing:
            raise CommandError(f"nothing done; there is no such dead letter: {', '.join(map(str, missing))}")
        return letters

    def _tell(self, options: dict[str, Any], numbers: dict[str, Any], sentence: str) -> None:
        refused: dict[int, str] = numbers["refused"]
        self.stdout.write(json.dumps(numbers) if options["json"] else sentence)
        for number, why in refused.items():
            self.stderr.write(f"{number}: {why}")
        if refused:
            sys.exit(1)


def _facts(letter: DeadLetter) -> dict[str, Any]:
    purpose = purpose_of(letter)
    return {
        "id": letter.pk,
        "state": letter.state,
        "queue": letter.queue,
        "reason": letter.reason,
        "deliveries": letter.delivery_count,
        "first_seen": letter.first_seen.isoformat(timespec="seconds"),
        "purpose": purpose.value if purpose else None,
        "asset": letter.job.asset_id if letter.job else None,
        "generation": letter.generation,
        "job": letter.job_id,
        "replayed_job": letter.replayed_job_id,
        "settled_at": letter.settled_at.isoformat(timespec="seconds") if letter.settled_at else None,
        "message_id": letter.message_id,
    }


def _table(letters: list[DeadLetter], count: int) -> str:
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        table = Table()
        table.add_column("id", justify="right")
        for title in ("first seen", "queue", "asset", "purpose", "state", "reason"):
            table.add_column(title, overflow="fold")
        for letter in letters:
            facts = {name: "–" if value is None else str(value) for name, value in _facts(letter).items()}
            table.add_row(
                facts["id"],
                facts["first_seen"].removesuffix("+00:00"),
                facts["queue"],
                facts["asset"],
                "unreadable" if facts["purpose"] == "–" else facts["purpose"],
                facts["state"],
                # As Text: a reason may hold square brackets.
                Text(facts["reason"]),
            )
        console.print(table)
        if count > len(letters):
            console.print(f"{count - len(letters)} more; --limit shows them.")
    return captured.get().rstrip("\n")
