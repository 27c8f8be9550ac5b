"""One moment of the database: a dump, the facts to compare it by, and what it names in the blob store.

All of it is read in one exported snapshot (PostgreSQL's ``pg_export_snapshot``), so that it agrees while
everybody works on. The snapshot is let go of before bytes are copied: one that is held for hours keeps the
server from clearing up.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dam.backup import database
from dam.backup.database import Parameters
from dam.backup.document import SequenceFacts, TableFacts
from dam.backup.errors import BackupError
from dam.backup.programs import PgProgram, find_program, running
from pipeline.blobs import key_parts

_PAGE = 5_000
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the database names. ``size`` and ``sha256`` are empty of a rendition: nobody keeps them."""

    key: str
    size: int | None
    sha256: str

    @property
    def is_original(self) -> bool:
        """Whether it is what somebody uploaded."""
        return self.size is not None


@dataclass(frozen=True)
class Taken:
    """What was taken of that moment; the files lie in the folder that was given."""

    dump: Path
    named: Path
    server: str
    program: PgProgram
    extensions: dict[str, str]
    migrations: dict[str, tuple[str, ...]]
    tables: dict[str, TableFacts]
    sequences: dict[str, SequenceFacts]
    files: int
    """That are named."""
    original_bytes: int


def take(parameters: Parameters, folder: Path, *, renditions: bool, tell: Callable[[str], None]) -> Taken:
    """Dump the database into a folder, with what belongs to the same moment.

    Args:
        parameters: of the database.
        folder: an empty one, for as long as the result is used.
        renditions: whether their keys are wanted, too.
        tell: what takes a while is said here.

    Raises:
        BackupError: the database is none of Vitrine's, there is no program that can dump it, or that failed.
        psycopg.OperationalError: the database does not answer.
    """
    dump, named = folder / "database.dump", folder / "named.gz"
    with database.connected(parameters) as connection, database.no_migration(connection, tell):
        major, version = database.server_version(connection)
        program = find_program("pg_dump", at_least=major)
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            (snapshot,) = _one(connection, "SELECT pg_export_snapshot()")
            applied = database.migrations(connection)
            if "assets" not in applied:
                raise BackupError(
                    "there are no tables of Vitrine's in this database: DATABASE_URL names another one"
                )
            before = database.sequence_values(connection)
            words = ["--format=custom", f"--file={dump}", f"--snapshot={snapshot}", "--no-password"]
            words += [f"--exclude-schema={_pattern(name)}" for name in database.other_schemas(connection)]
            words += [f"--extension={name}" for name in database.EXTENSIONS]
            with running(program, words, parameters) as dumping:
                tables = {
                    name: database.table_facts(connection, name) for name in database.tables(connection)
                }
                files = _write_named(connection, named, renditions=renditions)
                (original_bytes,) = _one(
                    connection, "SELECT coalesce(sum(size), 0)::bigint FROM public.assets_blob"
                )
                found = database.extensions(connection)
                dumping.wait()
            sequences = database.sequence_facts(before, database.sequence_values(connection))
    return Taken(
        dump=dump,
        named=named,
        server=version,
        program=program,
        extensions=found,
        migrations=applied,
        tables=tables,
        sequences=sequences,
        files=files,
        original_bytes=original_bytes,
    )


def read_named(path: Path) -> Iterator[Named]:
    """What :func:`take` wrote down, in the order of the keys."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            size, sha256, key = line.rstrip("\n").split("\t", 2)
            yield Named(key, int(size) if size else None, sha256)


def named_now(connection: psycopg.Connection[Any], *, renditions: bool = True) -> Iterator[Named]:
    """All that a database names, in the order of the keys' bytes; inside a transaction.

    Raises:
        BackupError: it names something that no blob store has.
    """
    with connection.cursor(name="named") as cursor:
        cursor.itersize = _PAGE
        cursor.execute(_NAMED if renditions else _NAMED_ORIGINALS)
        for key, size, sha256 in cursor:
            if key is None or key_parts(key) is None:
                raise BackupError(f"the database names what no blob store can have: {str(key)[:120]!r}")
            yield Named(key, size, sha256 or "")


def _write_named(connection: psycopg.Connection[Any], path: Path, *, renditions: bool) -> int:
    count = 0
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for each in named_now(connection, renditions=renditions):
            file.write(f"{'' if each.size is None else each.size}\t{each.sha256}\t{each.key}\n")
            count += 1
    return count


def _one(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(query).fetchone()
    assert found is not None
    return found


def _pattern(name: str) -> str:
    """A name as pg_dump's patterns have it."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


_NAMED_ORIGINALS = 'SELECT key, size, sha256 FROM public.assets_blob ORDER BY key COLLATE "C"'
# Pictures of the same bytes have the same renditions.
_NAMED = """
SELECT key, size, sha256 FROM (
    SELECT key, size, sha256 FROM public.assets_blob
    UNION ALL
    SELECT DISTINCT made.value ->> 'key', NULL::bigint, NULL
    FROM public.assets_assetversion, LATERAL jsonb_each(renditions) AS made
) AS named ORDER BY key COLLATE "C"
"""
