from __future__ import annotations  # noqa: N999  # the command's name

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dam.assets.accounts import NoSuchUserError, acting_user
from dam.assets.collections import level_required
from dam.assets.errors import NotAllowedError
from dam.assets.importing import (
    Import,
    ImportedFile,
    files_below,
    import_file,
    pending_among,
    states_refresh,
)
from dam.assets.models import Collection, Level
from dam.assets.services import root_collection
from dam.assets.tree import collection_named
from pipeline.ports import DependencyDownError
from pipeline.telemetry.requests import for_request, new_request_id

_LOOK_EVERY_S = 0.3
_INTERRUPTED = 130  # as shells have it: 128 + SIGINT


class Command(BaseCommand):
    help = (
        "Catalogue pictures and folders of pictures on this server. Running it again continues: what is "
        "there already counts as duplicate. Exit code 1 if any file was refused (the others are kept), if "
        "there was none, for a path that does not exist, for an outage, and with --wait if some were not "
        "tagged in time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file or folder")
        parser.add_argument("--user", help="whose pictures they become (default: the first administrator)")
        parser.add_argument(
            "--collection",
            metavar="ID_OR_PATH",
            help="where they are to live, such as Press/2024 (default: Library)",
        )
        parser.add_argument("--wait", action="store_true", help="until every picture is tagged or failed")
        parser.add_argument("--timeout", type=float, metavar="S", help="wait at most so many seconds")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        for path in options["paths"]:
            if not path.exists():
                raise CommandError(f"{path}: no such file or folder")
        try:
            user = acting_user(options["user"])
            collection = _place(options["collection"], user)
        except (NoSuchUserError, NotAllowedError) as error:
            raise CommandError(str(error)) from None

        done = Import(request_id=new_request_id())
        try:
            with for_request(done.request_id):
                interrupted = not self._run(done, user, collection, options)
            states_refresh(done)
            still = len(pending_among(done.asset_ids()))
        except (DependencyDownError, OperationalError, InterfaceError) as error:
            first = str(error).strip().partition("\n")[0]
            raise CommandError(
                f"stopped after {len(done.files)} files, which are kept; run it again to continue: {first}"
            ) from error
        self.stdout.write(json.dumps(done.as_dict()) if options["json"] else _report(done))
        if interrupted:
            self.stderr.write("Interrupted. What is listed is kept; run it again to continue.")
            sys.exit(_INTERRUPTED)
        if not done.files:
            places = ", ".join(_readable(path) for path in options["paths"])
            raise CommandError(f"No pictures in {places}.")
        problems = [_refusals(done)] if any(file.outcome == "refused" for file in done.files) else []
        if options["wait"] and still:
            problems.append(f"{still} pictures were not tagged in time.")
        if problems:
            self.stderr.write("\n".join(problems))
            sys.exit(1)

    def _run(self, done: Import, user: User, collection: Collection, options: dict[str, Any]) -> bool:
        """Import, and wait if asked to; False if a person stopped it."""
        # The bar goes to standard error, so that it is seen when the output is piped.
        console = Console(stderr=True)
        shown = console.is_terminal and not options["json"]
        with _Interruption() as interruption:
            paths = list(files_below(options["paths"]))
            with _bar(console, "Importing", len(paths), shown=shown) as advance:
                for path in paths:
                    if interruption.asked:
                        return False
                    done.files.append(import_file(path, user=user, collection=collection))
                    advance(len(done.files))
            if options["wait"]:
                _wait(done, options["timeout"], console, interruption, shown=shown)
            return not interruption.asked


def _place(text: str | None, user: User) -> Collection:
    """The collection of that id or path, where the user may put pictures; None: the root.

    Raises:
        CommandError: the user knows of none.
        NotAllowedError: they may put nothing there.
    """
    if text is None:
        collection = root_collection()
    else:
        try:
            collection = collection_named(user=user, text=text)
        except Collection.DoesNotExist:
            raise CommandError(f"there is no collection “{text}”") from None
    level_required(user, collection, Level.CONTRIBUTE, "put pictures there")
    return collection


class _Interruption:
    """Ctrl-C asks to stop after the file in hand; a second one ends the command at once.

    In the middle of a transaction it would leave the connection unusable for the report.
    """

    asked = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, _signal: int, _frame: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)


class _bar:  # noqa: N801  # a context manager, read as a function
    """A progress bar while it lasts, or nothing; gives a function that takes how many are done."""

    def __init__(self, console: Console, title: str, total: int, *, shown: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not shown,
        )
        self._task = self._progress.add_task(title, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda done: self._progress.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _wait(
    done: Import, timeout_s: float | None, console: Console, interruption: _Interruption, *, shown: bool
) -> None:
    """Until no asset of the import is pending, the time is over, or somebody stops it."""
    ids = done.asset_ids()
    deadline = time.monotonic() + timeout_s if timeout_s is not None else None
    with _bar(console, "Tagging", len(ids), shown=shown) as advance:
        while (pending := pending_among(ids)) and not interruption.asked:
            advance(len(ids) - len(pending))
            if deadline is not None and time.monotonic() >= deadline:
                return
            time.sleep(_LOOK_EVERY_S)
        advance(len(ids))


def _refusals(done: Import) -> str:
    """How many files were refused, and why."""
    reasons = Counter(file.reason for file in done.files if file.outcome == "refused")
    listed = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
    return f"{reasons.total()} of {len(done.files)} files were refused: {listed}. The others are kept."


def _report(done: Import) -> str:
    """The sums, then every file that needs attention."""
    console = Console(file=None, width=120, force_terminal=False)
    with console.capture() as captured:
        sums = Table(title="Import", show_header=False)
        sums.add_column()
        sums.add_column(justify="right")
        for name, number in done.counts().items():
            sums.add_row(name, str(number))
        console.print(sums)
        console.print(f"Request {done.request_id} in the logs.", highlight=False)
        bad = [file for file in done.files if file.outcome in {"refused", "failed"}]
        if bad:
            console.print(_table_of(bad))
    return captured.get().rstrip("\n")


def _table_of(files: list[ImportedFile]) -> Table:
    table = Table(title="Not tagged")
    for title in ("file", "outcome", "reason", "detail"):
        table.add_column(title, overflow="fold")
    for file in files:
        # As Text: names may hold square brackets.
        table.add_row(Text(_readable(file.path)), file.outcome, file.reason, Text(file.detail))
    return table


def _readable(path: Path) -> str:
    """A name that is no UTF-8 is shown escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()
