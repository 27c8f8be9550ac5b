"""The database: whether it answers, what we may do there, its versions, its clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from dam.embedded.postgres import EXTENSIONS
from dam.monitoring.doctor.findings import Area, Check, Finding, failure, ok, said_by, warning
from pipeline.secret_files import secret_source

LEAST_POSTGRESQL = 16
LEAST_PGVECTOR = (0, 8)
_REQUIRED_EXTENSION = "vector"
# Leases of the queue last 30 s and signed addresses minutes; a second or two harms nobody.
_CLOCK_WARNS_S, _CLOCK_FAILS_S = 2.0, 20.0


def answers() -> Finding:
    """A connection, and how long it took."""
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version()")
            (version,) = cursor.fetchone()
    except (OperationalError, InterfaceError) as error:
        said = said_by(error)
        if source := secret_source("DATABASE_URL"):
            address = "$DATABASE_URL" if source == "DATABASE_URL" else f"$(cat ${source})"
            return failure(
                f"the database of {source} cannot be reached: {said}",
                mend=f'Start it, or mend {source}; `psql "{address}" -c "SELECT 1"` tells more.',
            )
        return failure(
            f"the embedded database does not run: {said}",
            mend="`make run` starts Vitrine; for a database elsewhere set DATABASE_URL.",
        )
    took_ms = (time.perf_counter() - began) * 1000
    return ok(f"{' '.join(version.split()[:2])}, {_place()}, in {took_ms:.0f} ms")


def _place() -> str:
    """Where it is, without user and password."""
    at: dict[str, Any] = connection.settings_dict
    host = at.get("HOST") or "the local socket"
    return f"{host}:{at['PORT']}" if at.get("PORT") else str(host)


def version() -> Finding:
    """As new as the statements need."""
    shown, number = _row("SELECT current_setting('server_version'), current_setting('server_version_num')")
    major = int(number) // 10_000
    if major < LEAST_POSTGRESQL:
        return failure(
            f"PostgreSQL {shown}",
            mend=f"Upgrade the server to {LEAST_POSTGRESQL} or later (pg_upgrade, or dump and restore).",
        )
    return ok(f"PostgreSQL {shown}")


def extensions() -> list[Finding]:
    """Those that the tables need."""
    rows = _rows(
        "SELECT a.name, a.default_version, e.extversion FROM pg_available_extensions AS a "
        "LEFT JOIN pg_extension AS e ON e.extname = a.name WHERE a.name = ANY(%s)",
        list(EXTENSIONS),
    )
    known = {name: (available, installed) for name, available, installed in rows}
    return [_extension(name, *known.get(name, (None, None))).of(name) for name in EXTENSIONS]


def _extension(name: str, available: str | None, installed: str | None) -> Finding:
    tell = failure if name == _REQUIRED_EXTENSION else warning
    if available is None and installed is None:
        package = "pgvector" if name == "vector" else "its contrib extensions"
        return tell(
            "not installed on the server",
            mend=f"Install {package} beside PostgreSQL, then as a superuser `CREATE EXTENSION {name}`.",
        )
    if installed is None:
        return tell(
            f"{available} is there and not switched on",
            mend=f"As a superuser, in this database: `CREATE EXTENSION {name};`",
        )
    if name == _REQUIRED_EXTENSION and _numbers(installed) < LEAST_PGVECTOR:
        wanted = ".".join(map(str, LEAST_PGVECTOR))
        return failure(
            f"{installed}, and {wanted} or later is needed",
            mend=f"Install pgvector {wanted} or later, then `ALTER EXTENSION vector UPDATE;`",
        )
    return ok(installed)


def rights() -> list[Finding]:
    """May make tables, and owns those there are: else the next migration fails."""
    role, database, in_schema, in_database = _row(
        "SELECT current_user, current_database(),"
        " has_schema_privilege(current_user, 'public', 'CREATE'),"
        " has_database_privilege(current_user, current_database(), 'CREATE')"
        " OR to_regnamespace('queue') IS NOT NULL"
    )
    found = []
    if not in_schema:
        found.append(
            failure(
                f"{role} may not make tables in the schema public, so migrations fail",
                mend=f'As the owner of the database: `GRANT CREATE ON SCHEMA public TO "{role}";`',
            )
        )
    if not in_database:
        found.append(
            failure(
                f"{role} may not make the schema of the queue",
                mend=f'As the owner: `GRANT CREATE ON DATABASE "{database}" TO "{role}";`',
            )
        )
    foreign = _rows(
        "SELECT schemaname || '.' || tablename, tableowner FROM pg_tables"
        " WHERE schemaname IN ('public', 'queue') AND NOT pg_has_role(current_user, tableowner, 'USAGE')"
        " ORDER BY 1"
    )
    if foreign:
        table, owner = foreign[0]
        found.append(
            failure(
                f"{len(foreign)} tables belong to others (the first: {table}, of {owner})",
                mend=f'As a superuser: `REASSIGN OWNED BY "{owner}" TO "{role}";` in this database.',
            )
        )
    return found or [ok(f"{role} may make tables, and owns those there are")]


def migrations() -> Finding:
    """What the code asks for is what the tables are."""
    executor = MigrationExecutor(connection)
    wanted = executor.migration_plan(executor.loader.graph.leaf_nodes())
    applied, known = executor.loader.applied_migrations, executor.loader.disk_migrations
    ours = {app for app, _ in known}
    newer = sorted(f"{app}.{name}" for app, name in applied if app in ours and (app, name) not in known)
    if wanted:
        first = wanted[0][0]
        return failure(
            f"{len(wanted)} to apply, the first {first.app_label}.{first.name}",
            mend="Run `vitrine migrate`; running processes bear it.",
        )
    if newer:
        return warning(
            f"the tables are newer than this code, by {', '.join(newer[:3])}",
            mend="During an upgrade this ends with it. Otherwise start the version of Vitrine that made "
            "them, or restore the backup of before.",
        )
    return ok(f"all {len(known)} applied")


def clock() -> Finding:
    """The clocks of this machine and of the database agree."""
    began = datetime.now(UTC)
    (theirs,) = _row("SELECT clock_timestamp()")
    ended = datetime.now(UTC)
    # The answer was made some time between the two.
    apart_s = max(0.0, (began - theirs).total_seconds(), (theirs - ended).total_seconds())
    if apart_s <= _CLOCK_WARNS_S:
        return ok("agrees with the database's within a second" if apart_s < 1 else f"{apart_s:.1f} s apart")
    tell = failure if apart_s > _CLOCK_FAILS_S else warning
    return tell(
        f"{apart_s:.0f} s apart from the database's: ages, leases and signed addresses are wrong by as much",
        mend="Let both machines follow the same time servers (`timedatectl set-ntp true`, or chrony).",
    )


def _rows(statement: str, *params: list[str]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())


def _row(statement: str) -> tuple[Any, ...]:
    (row,) = _rows(statement)
    return row


def _numbers(version_text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version_text.split(".") if part.isdecimal())


DATABASE = Area(
    "Database",
    (
        Check("version", version),
        Check("extension", extensions),
        Check("rights", rights),
        Check("migrations", migrations),
        Check("clock", clock),
    ),
    gate=Check("connection", answers),
    reads_database=True,
)
