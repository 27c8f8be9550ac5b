"""What a database holds, as facts to compare two by: rows and their digests, sequences, migrations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection as django_connection
from psycopg import sql

from dam.backup.document import SequenceFacts, TableFacts
from dam.backup.errors import BackupError

Parameters = Mapping[str, Any]
"""What libpq connects by."""

EXTENSIONS = ("vector", "pg_trgm", "unaccent")
SCHEMA = "public"

# That of ``vitrine migrate``, which holds it while it changes tables; a test holds the two together.
MIGRATION_LOCK = 0x76697472696E65
_LOOK_EVERY_S = 0.5

# Texts of values must not hang on whom they are told to: these say how a row is written. No time limits:
# what reads everything takes its time.
_SESSION = """
SET TIME ZONE 'UTC'; SET datestyle TO 'ISO, YMD'; SET intervalstyle TO 'iso_8601';
SET extra_float_digits TO 1; SET bytea_output TO 'hex'; SET xmlbinary TO 'base64';
SET search_path TO pg_catalog, public;
SET statement_timeout TO 0; SET lock_timeout TO 0; SET idle_in_transaction_session_timeout TO 0;
SELECT set_config(name, '0', FALSE) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';
"""


def connection_parameters() -> Parameters:
    """Those of the catalogue's database, as Django has them."""
    settings = django_connection.settings_dict
    named = {
        "dbname": settings["NAME"],
        "user": settings["USER"],
        "password": settings["PASSWORD"],
        "host": settings["HOST"],
        "port": settings["PORT"],
    }
    # The settings take all of them from the one address.
    return {**{name: value for name, value in named.items() if value}, **settings["OPTIONS"]}


@contextmanager
def connected(parameters: Parameters) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session of our own in which values are written in one way, whatever the server's settings.

    Raises:
        BackupError: tables are looked for elsewhere than where Vitrine's are.
    """
    with psycopg.connect(**parameters, autocommit=True, application_name="vitrine backup") as connection:
        schema = connection.execute("SELECT current_schema()").fetchone()
        if schema != (SCHEMA,):
            raise BackupError(
                f"tables are looked for in schema {schema and schema[0]}, not in {SCHEMA}: take search_path "
                "out of the database's address, and out of the settings of its role"
            )
        connection.execute(_SESSION)
        yield connection


@contextmanager
def no_migration(connection: psycopg.Connection[Any], tell: Callable[[str], None]) -> Iterator[None]:
    """No ``vitrine migrate`` while the block lasts; waits for one that is at work.

    Without it a change of a table would wait for the dump, and everybody behind that change.
    """
    waits = False
    # Asked again and again: who waits for a lock holds a snapshot, for which an index that is built
    # CONCURRENTLY waits in turn.
    while connection.execute("SELECT pg_try_advisory_lock_shared(%s)", [MIGRATION_LOCK]).fetchone() != (
        True,
    ):
        if not waits:
            tell("`vitrine migrate` is at work on this database: waiting for it")
        waits = True
        time.sleep(_LOOK_EVERY_S)
    try:
        yield
    finally:
        # A session that has broken holds it no longer than it lasts.
        if not connection.broken and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock_shared(%s)", [MIGRATION_LOCK])


def server_version(connection: psycopg.Connection[Any]) -> tuple[int, str]:
    """Major version of the server, and all of it as it says it."""
    number = connection.info.server_version
    return number // 10_000, f"{number // 10_000}.{number % 10_000}"


def extensions(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Of those that Vitrine needs, the ones that are there, with their versions."""
    found = connection.execute(
        "SELECT extname, extversion FROM pg_extension WHERE extname = ANY(%s) ORDER BY 1", [list(EXTENSIONS)]
    )
    return dict(found.fetchall())


def other_schemas(connection: psycopg.Connection[Any]) -> list[str]:
    """All but ours: somebody else's, or the queue's, whose messages the job rows make again."""
    found = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname <> %s AND nspname <> 'information_schema'"
        " AND nspname !~ '^pg_' ORDER BY 1",
        [SCHEMA],
    )
    return [name for (name,) in found]


def migrations(connection: psycopg.Connection[Any]) -> dict[str, tuple[str, ...]]:
    """Those that are applied, by app; none of a database that was never migrated."""
    if connection.execute("SELECT to_regclass('public.django_migrations')").fetchone() == (None,):
        return {}
    applied: dict[str, list[str]] = {}
    for app, name in connection.execute("SELECT app, name FROM public.django_migrations ORDER BY app, name"):
        applied.setdefault(app, []).append(name)
    return {app: tuple(names) for app, names in applied.items()}


def tables(connection: psycopg.Connection[Any]) -> list[str]:
    """The tables of our schema, without those that belong to an extension."""
    return [name for (name,) in connection.execute(_RELATIONS, ["r"])]


def table_facts(connection: psycopg.Connection[Any], table: str) -> TableFacts:
    """Its rows and their digest: a sum, so in any order, of the first 64 bits of each row's sha256."""
    found = connection.execute(_DIGEST.format(table=sql.Identifier(SCHEMA, table))).fetchone()
    assert found is not None
    return TableFacts(rows=found[0], digest=found[1])


def sequence_values(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The last value that each sequence of our schema gave; 0: it gave none."""
    names = [name for (name,) in connection.execute(_RELATIONS, ["S"])]
    values: dict[str, int] = {}
    for name in names:
        # One that gave nothing has the value that it will give first.
        query = sql.SQL("SELECT last_value - (NOT is_called)::integer FROM {}").format(
            sql.Identifier(SCHEMA, name)
        )
        found = connection.execute(query).fetchone()
        assert found is not None
        values[name] = found[0]
    return values


def sequence_facts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, SequenceFacts]:
    """Between what values each sequence was read meanwhile."""
    return {
        name: SequenceFacts(least=value, most=after[name]) for name, value in before.items() if name in after
    }


_RELATIONS = f"""
SELECT relname FROM pg_class AS relation
WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind = %s AND relpersistence <> 't' AND NOT EXISTS (
    SELECT FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = relation.oid AND deptype = 'e'
) ORDER BY relname COLLATE "C"
"""  # noqa: S608  # a constant of ours

# A row's text is that of its columns in their order, in the one way that _SESSION sets.
_DIGEST = sql.SQL("""
SELECT count(*), coalesce(sum(
    ('x' || encode(substr(sha256(convert_to(the_whole_row::text, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
), 0)::text FROM ONLY {table} AS the_whole_row
""")
