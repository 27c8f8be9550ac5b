"""Everything that is in a database: its rows, and its tables as the server describes them."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql

from dam.embedded.postgres import binaries

Row = Mapping[str, Any]
Tables = Mapping[str, list[Row]]

_OURS = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^(pg_|information_)'"
)


def all_rows(url: str) -> Tables:
    """Table → its rows, each value as JSON has it."""
    with psycopg.connect(url, autocommit=True) as connection:
        names = [name for (name,) in connection.execute(_OURS).fetchall()]
        return {
            name: [
                row
                for (row,) in connection.execute(
                    sql.SQL("SELECT to_jsonb(t) FROM {} AS t").format(sql.SQL(name))  # type: ignore[arg-type]
                )
            ]
            for name in names
        }


def lost(before: Tables, after: Tables) -> dict[str, list[Row]]:
    """Table → rows of before that are not there with the same values any more.

    Only columns that were there before are compared: a column that is gone is a loss of every row.
    """
    found = {}
    for table, rows in before.items():
        columns = {column for row in rows for column in row}
        there = Counter(_key(row, columns) for row in after.get(table, []))
        missing = []
        for row in rows:
            key = _key(row, columns)
            there[key] -= 1
            if there[key] < 0:
                missing.append(row)
        if missing:
            found[table] = missing
    return found


def _key(row: Row, columns: Collection[str]) -> str:
    return json.dumps({name: value for name, value in row.items() if name in columns}, sort_keys=True)


def schema(url: str) -> str:
    """Tables, columns in their order, defaults, constraints and indexes, as ``pg_dump`` writes them."""
    dumped = subprocess.run(
        [str(binaries() / "pg_dump"), "--schema-only", "--no-owner", "--no-comments", f"--dbname={url}"],
        check=True,
        capture_output=True,
        text=True,
    )
    # A dump names a word of its own, against statements slipped in.
    return "\n".join(line for line in dumped.stdout.splitlines() if not line.startswith("\\"))
