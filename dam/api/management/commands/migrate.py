from __future__ import annotations

import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from psycopg import errors, sql

# "vitrine" in ASCII; a lock's key is 64 bits wide and counts within one database.
_LOCK = 0x76697472696E65
_LOOK_EVERY_S = 0.5
_PAUSE_S = 5.0
"""Between two attempts: whoever queued up behind us has to get through meanwhile."""


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} One at a time: a second one waits until the first is done, and then finds "
        "nothing to do. A migration that does not get its lock at once lets everybody else go first and is "
        "tried again. Connect to the server itself, not to a pooler in transaction mode."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=_seconds,
            default=2.0,
            metavar="S",
            help="wait so many seconds for the lock of a table, behind which everybody queues up who wants "
            "that table (default: 2)",
        )
        parser.add_argument(
            "--lock-attempts",
            type=_count,
            default=100,
            metavar="N",
            help=f"try so often, {_PAUSE_S:g} s apart (default: 100, which is 12 minutes)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        self._connection, self._timeout_s = connection, options["lock_timeout"]
        self._tells = options["verbosity"] > 0
        with self._alone(), self._briefly():
            for attempt in range(1, options["lock_attempts"] + 1):
                try:
                    super().handle(*args, **options)
                except OperationalError as error:
                    if not isinstance(error.__cause__, errors.LockNotAvailable):
                        raise
                    if attempt >= options["lock_attempts"]:
                        raise CommandError(self._in_the_way()) from error
                    self._say(f"\n{self._in_the_way()} Trying again in {_PAUSE_S:g} s.")
                    time.sleep(_PAUSE_S)
                else:
                    return

    def migration_progress_callback(
        self,
        action: str,
        migration: Migration | None = None,
        fake: bool = False,  # noqa: FBT001, FBT002 - Django's
    ) -> None:
        """See Django's; it is called before each migration, outside of its transaction."""
        super().migration_progress_callback(action, migration, fake)
        if action in {"apply_start", "unapply_start"} and migration is not None:
            # What runs without a transaction works CONCURRENTLY: it waits for transactions that are under way
            # and holds up nobody meanwhile, and given up halfway it would leave an index that is of no use.
            self._set_lock_timeout(self._timeout_s if migration.atomic else 0)
            if action == "apply_start" and not fake:
                self._drop_remains(migration)

    # ------------------------------------------------------------------ alone

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of whoever migrates, in the session that migrates: who is killed loses both."""
        waits = False
        # Asked again and again: a statement that waits for the lock would hold a snapshot meanwhile, for
        # which an index that the other one builds CONCURRENTLY would wait in turn.
        while not _ask(self._connection, "pg_try_advisory_lock"):
            if not waits:
                self._say("Another `vitrine migrate` is at work on this database: waiting for it.")
            waits = True
            time.sleep(_LOOK_EVERY_S)
        try:
            yield
        finally:
            # A session that has broken, or has a transaction to roll back, holds it no longer than it lasts.
            if self._connection.connection is not None and self._connection.is_usable():
                _ask(self._connection, "pg_advisory_unlock")

    # ---------------------------------------------------------------- briefly

    @contextmanager
    def _briefly(self) -> Iterator[None]:
        """Wait for no lock of a table for long: reads and writes of it queue up behind who waits."""
        self._set_lock_timeout(self._timeout_s)
        try:
            yield
        finally:
            if self._connection.connection is not None and self._connection.is_usable():
                with self._connection.cursor() as cursor:
                    cursor.execute("RESET lock_timeout")

    def _set_lock_timeout(self, seconds: float) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{round(seconds * 1000)}ms"])

    def _drop_remains(self, migration: Migration) -> None:
        """Drop indexes that an attempt which was killed has left: finished or not, nobody noted them."""
        with self._connection.cursor() as cursor:
            for operation in migration.operations:
                if isinstance(operation, AddIndexConcurrently):
                    name = sql.Identifier(operation.index.name)
                    cursor.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(name))

    def _in_the_way(self) -> str:
        """What to say of a lock that was not to be had: since when the oldest transactions are open."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid, usename, coalesce(nullif(application_name, ''), 'unnamed'), state,"
                " round(extract(epoch FROM now() - xact_start)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
                " ORDER BY xact_start LIMIT 3"
            )
            found = [
                f"process {pid} ({user}, {name}, {state}) since {seconds} s"
                for pid, user, name, state, seconds in cursor.fetchall()
            ]
        among = f" Open transactions: {'; '.join(found)}." if found else ""
        return f"A table's lock was not to be had within {self._timeout_s:g} s.{among}"

    def _say(self, sentence: str) -> None:
        if self._tells:
            self.stdout.write(sentence)
            self.stdout.flush()


def _ask(connection: BaseDatabaseWrapper, function: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.001 <= seconds <= 3600:
        raise ArgumentTypeError("between 0.001 and 3600 seconds")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ArgumentTypeError("1 or more")
    return count
