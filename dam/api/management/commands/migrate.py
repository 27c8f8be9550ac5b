from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.commands import migrate
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# "vitrine" in ASCII; a lock's key is 64 bits wide and counts within one database.
_LOCK = 0x76697472696E65
_LOOK_EVERY_S = 0.5


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} One at a time: a second one waits until the first is done, and then finds "
        "nothing to do. Connect to the server itself, not to a pooler in transaction mode."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql" or options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        with self._alone(connection, tell=options["verbosity"] > 0):
            super().handle(*args, **options)

    @contextmanager
    def _alone(self, connection: BaseDatabaseWrapper, *, tell: bool) -> Iterator[None]:
        """Hold the lock of whoever migrates, in the session that migrates: who is killed loses both."""
        waits = False
        # Asked again and again: a statement that waits for the lock would hold a snapshot meanwhile, for
        # which an index that the other one builds CONCURRENTLY would wait in turn.
        while not _ask(connection, "pg_try_advisory_lock"):
            if tell and not waits:
                self.stdout.write("Another `vitrine migrate` is at work on this database: waiting for it.")
                self.stdout.flush()
            waits = True
            time.sleep(_LOOK_EVERY_S)
        try:
            yield
        finally:
            # A session that has broken, or has a transaction to roll back, holds it no longer than it lasts.
            if connection.connection is not None and connection.is_usable():
                _ask(connection, "pg_advisory_unlock")


def _ask(connection: BaseDatabaseWrapper, function: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])
