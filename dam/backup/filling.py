"""The database's half of a restore: an empty one is filled, compared with the backup, and made ready.

A table of one row, ``vitrine_restore``, says how far a restore has come, so that one that was interrupted
goes on and a second one into a database that is in use is refused. It goes with the last step.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import psycopg
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from dam.backup import database
from dam.backup.database import SCHEMA, Parameters
from dam.backup.document import Document
from dam.backup.errors import BackupError
from dam.backup.programs import PgProgram, find_program, running

Step = Literal["begun", "prepared"]
"""``begun``: the dump is to be, or was, taken in. ``prepared``: it is compared, and made ready to go on."""

_MARK = "vitrine_restore"
_HELD_FOR = "6 days"
"""And the round's own day: a week in which no sweep takes pictures that came after the backup."""
_JOB_NUMBERS_LEFT_OUT = 1_000_000
_OLDEST_SERVER = 16


def code_fits(document: Document) -> None:
    """Return if this code knows every migration that the backup's database has.

    Raises:
        BackupError: the backup was made by newer code.
    """
    known = MigrationLoader(None).disk_migrations
    assert known is not None
    unknown = [
        f"{app}.{name}"
        for app, names in document.migrations.items()
        for name in names
        if (app, name) not in known
    ]
    if unknown:
        raise BackupError(
            f"this Vitrine is older than the backup, which was made by {document.vitrine} and has migrations "
            f"that are unknown here ({', '.join(unknown[:5])}): restore with that version or a later one"
        )


def restore_program(connection: psycopg.Connection[Any], document: Document) -> PgProgram:
    """The ``pg_restore`` that can take the dump into this server.

    Raises:
        BackupError: there is none, or the server is older than the dump's.
    """
    major, version = database.server_version(connection)
    if major < max(_OLDEST_SERVER, _major(document.server)):
        raise BackupError(
            f"the backup is of PostgreSQL {document.server}, and this server is {version}: a dump goes into "
            "a server of the same major version or a later one"
        )
    encoding = connection.execute("SHOW server_encoding").fetchone()
    if encoding != ("UTF8",):
        raise BackupError(f"this database is in {encoding and encoding[0]}; make one in UTF8")
    return find_program("pg_restore", at_least=max(major, _major(document.program)))


def others_at_work(connection: psycopg.Connection[Any]) -> None:
    """Return if nobody else of our role is connected.

    Raises:
        BackupError: somebody is: a relay that finds a database half made ready would sweep bytes away.
    """
    rows = connection.execute(
        "SELECT coalesce(nullif(application_name, ''), 'without a name'), count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    if rows:
        who = ", ".join(f"{name} ({count})" for name, count in rows)
        raise BackupError(
            f"others are connected to this database: {who}. Stop everything that works on it first: pages, "
            "relay, results writer, monitor, workers that use its queue"
        )


def step_of(connection: psycopg.Connection[Any], document: Document) -> Step | None:
    """How far a restore of this backup has come here; None: it was not begun, and may be.

    Raises:
        BackupError: the database is in use, or another backup's restore was begun in it.
    """
    if connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.{_MARK}"]).fetchone() != (None,):
        found = connection.execute(f"SELECT backup, step FROM {SCHEMA}.{_MARK}").fetchone()  # noqa: S608  # ours
        assert found is not None
        backup, step = found
        if backup != document.name:
            raise BackupError(
                f"a restore of backup {backup} was begun in this database and has not come to its end: go on "
                f"with `--name {backup}`, or begin with an empty database. {_HOW_EMPTY}"
            )
        return "prepared" if step == "prepared" else "begun"
    there = database.tables(connection)
    if there and not _is_unused(connection, there):
        raise BackupError(
            f"this database is in use: it has {len(there)} tables, with pictures or people in them. A backup "
            f"is restored into an empty one only. {_HOW_EMPTY}"
        )
    return None


def extensions_ready(connection: psycopg.Connection[Any]) -> None:
    """Have the extensions, and the right to make tables.

    Raises:
        BackupError: we lack one of them, and may not make it.
    """
    if connection.execute("SELECT has_schema_privilege(%s, 'CREATE')", [SCHEMA]).fetchone() != (True,):
        raise BackupError(
            "we may not make tables in this database: it should belong to our role (CREATE DATABASE … OWNER "
            f"…), or its administrator runs in it: GRANT CREATE ON SCHEMA {SCHEMA} TO …"
        )
    try:
        for name in database.EXTENSIONS:
            connection.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public").format(sql.Identifier(name))
            )
    except psycopg.Error as error:
        needed = "; ".join(f"CREATE EXTENSION {name}" for name in database.EXTENSIONS)
        raise BackupError(
            f"the database lacks an extension that we may not make ({str(error).strip()}): have an "
            f"administrator of the server run in it: {needed}"
        ) from error


def begin(connection: psycopg.Connection[Any], document: Document) -> None:
    """Make the database empty and say what is restored into it."""
    with connection.transaction():
        # What migrations and a first start have made of a new database; nobody's work is in it.
        for table in database.tables(connection):
            connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(SCHEMA, table)))
        connection.execute(f"CREATE TABLE {SCHEMA}.{_MARK} (backup text NOT NULL, step text NOT NULL)")
        connection.execute(
            f"INSERT INTO {SCHEMA}.{_MARK} VALUES (%s, 'begun')",  # noqa: S608  # constants of ours
            [document.name],
        )


def fill(connection: psycopg.Connection[Any], program: PgProgram, dump: Path, parameters: Parameters) -> None:
    """Take the dump in, in one transaction; nothing happens if that was done.

    Raises:
        BackupError: it failed, and nothing of it is there.
    """
    if database.migrations(connection):
        return
    # No comments: one on an extension may be made by its owner only.
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments"]
    with running(program, [*words, "--no-password", str(dump)], parameters) as restoring:
        restoring.wait()


def differences(connection: psycopg.Connection[Any], document: Document) -> list[str]:
    """In what a database is not what the backup says of it, each in words; empty: in nothing."""
    found = {
        name: database.table_facts(connection, name) for name in database.tables(connection) if name != _MARK
    }
    said: list[str] = []
    for name in sorted(document.tables.keys() | found.keys()):
        wanted, got = document.tables.get(name), found.get(name)
        if wanted is None or got is None:
            said.append(f"table {name} is {'not in the backup' if wanted is None else 'missing'}")
        elif wanted.rows != got.rows:
            said.append(f"table {name} has {got.rows:,} rows in place of {wanted.rows:,}")
        elif wanted.digest != got.digest:
            said.append(f"table {name} has {got.rows:,} rows, and not all are those of the backup")
    values = database.sequence_values(connection)
    said += [
        f"sequence {name} stands at {values.get(name)}, which is not between {facts.least} and {facts.most}"
        for name, facts in document.sequences.items()
        if not facts.least <= values.get(name, -1) <= facts.most
    ]
    if database.migrations(connection) != document.migrations:
        said.append("other migrations are applied")
    return said


def prepare(connection: psycopg.Connection[Any]) -> Mapping[str, int]:
    """Make the state of a past moment one to go on from, all at once; what was done, as numbers.

    The sweep of orphans rests for a week: pictures that came after the backup are orphans now. What was in a
    broker's hands is asked for again. New jobs get numbers that no message of after the backup bears. Tries
    go: whoever waited for their answers does so no more, and their bytes are in no backup.
    """
    with connection.transaction():
        if _has(connection, "jobs_round"):
            connection.execute(_HOLD_SWEEP)
        if _has(connection, "jobs_deadletter"):
            connection.execute(_LETTERS_WITHOUT_TRIES)
        tries = connection.execute("DELETE FROM public.jobs_taggingjob WHERE purpose = 'try'").rowcount
        queued = connection.execute(_QUEUE_AGAIN).rowcount
        connection.execute(_NEW_NUMBERS, [_JOB_NUMBERS_LEFT_OUT])
        connection.execute(f"UPDATE {SCHEMA}.{_MARK} SET step = 'prepared'")  # noqa: S608  # ours
    return {"queued_again": queued, "tries_forgotten": tries}


def end(connection: psycopg.Connection[Any]) -> None:
    """The restore is done: from now on the database is in use."""
    connection.execute(f"DROP TABLE {SCHEMA}.{_MARK}")


def _is_unused(connection: psycopg.Connection[Any], there: list[str]) -> bool:
    """Whether there is nothing that people made: Vitrine's tables, as a first start leaves them."""
    if not set(_OF_PEOPLE) <= set(there):
        return False
    queries = [
        f"SELECT EXISTS (SELECT FROM {SCHEMA}.{table} WHERE {what})"  # noqa: S608  # constants of ours
        for table, what in _OF_PEOPLE.items()
    ]
    return all(connection.execute(query).fetchone() == (False,) for query in queries)


def _has(connection: psycopg.Connection[Any], table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.{table}"]).fetchone() != (None,)


def _major(version: str) -> int:
    return int(version.partition(".")[0])


_OF_PEOPLE = {
    "assets_asset": "TRUE",
    "assets_blob": "TRUE",
    "jobs_taggingjob": "TRUE",
    "tagging_decision": "TRUE",
    # Accounts that a start makes for itself cannot be signed in to by a password, and nobody has.
    "auth_user": "last_login IS NOT NULL OR password NOT LIKE '!%'",
}

_HOW_EMPTY = (
    "To get one: ALTER DATABASE … RENAME TO … keeps what is there beside it, CREATE DATABASE … OWNER … makes "
    "a new one; on one machine, move VITRINE_HOME/postgres away"
)

_HOLD_SWEEP = f"""
INSERT INTO public.jobs_round (name, begun_at) VALUES ('orphans', now() + interval '{_HELD_FOR}')
ON CONFLICT (name) DO UPDATE SET begun_at = excluded.begun_at
"""  # noqa: S608  # a constant of ours
_LETTERS_WITHOUT_TRIES = """
UPDATE public.jobs_deadletter AS letter SET job_id = NULL
FROM public.jobs_taggingjob AS job WHERE letter.job_id = job.id AND job.purpose = 'try'
"""
_QUEUE_AGAIN = "UPDATE public.jobs_taggingjob SET state = 'queued', reason = '' WHERE state = 'published'"
_NEW_NUMBERS = """
SELECT setval('public.jobs_taggingjob_id_seq', greatest(
    (SELECT last_value FROM public.jobs_taggingjob_id_seq),
    (SELECT coalesce(max(id), 1) FROM public.jobs_taggingjob)
) + %s)
"""


def pending_migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """What this code's database has and this one has not."""
    known = MigrationLoader(None).disk_migrations
    assert known is not None
    applied = database.migrations(connection)
    return sorted(f"{app}.{name}" for app, name in known if name not in applied.get(app, ()))
