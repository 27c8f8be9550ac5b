"""Whether the tables in the database are those that this code reads and writes."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor

# A table, a column, a schema that is not there, or not ours: somebody migrates, restores or grants just now.
_OTHER_TABLES = frozenset({"42P01", "42703", "3F000", "42501"})


def schema_trouble() -> str:
    """What has to be done before this code can work with the database; empty if nothing.

    Tables of a newer version are none: it leaves what the version before needs.

    Raises:
        django.db.Error: the database does not answer, or refuses us.
    """
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "There are migrations to apply: run `vitrine migrate`."
    return ""


def is_outage(error: Exception) -> bool:
    """Whether the same may succeed later: the database is away, or its tables are not there.

    Everything else that a database refuses is the fault of what it was given.
    """
    return isinstance(error, (OperationalError, InterfaceError)) or _misses_tables(error)


def reason_of(error: Exception) -> str:
    """The first line of what somebody we depend on says, and what to do where tables are missing."""
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return f"{said} (is every migration applied? `vitrine migrate`)" if _misses_tables(error) else said


def _misses_tables(error: Exception) -> bool:
    return isinstance(error, ProgrammingError) and getattr(error.__cause__, "sqlstate", "") in _OTHER_TABLES
