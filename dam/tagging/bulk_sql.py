"""Rows written many at once: COPY for new ones, ``UPDATE … FROM json_to_recordset`` for others.

Only parameters carry values; the statements are constants of the modules that use this one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection
from pydantic_core import to_json


class ArrayElement(NamedTuple):
    """A type that arrays are made of: code of :mod:`struct`, oid and bytes in PostgreSQL."""

    code: str
    oid: int
    size: int


INTEGER = ArrayElement("i", 23, 4)
DOUBLE = ArrayElement("d", 701, 8)


def rows_copy(table: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> None:
    """Add rows by binary COPY, inside the caller's transaction.

    Args:
        table: its name in the database.
        columns: name → PostgreSQL type of the values, as psycopg is to send them. ``bytea`` sends bytes as
            they are, whatever the column's type: its own binary form.
        rows: values in the order of the columns.

    Raises:
        IntegrityError, DataError: as an INSERT; none of the rows is there.
    """
    names = ", ".join(columns)
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(list(columns.values()))
        for row in rows:
            copy.write_row(row)


def array_bytes(values: Sequence[float], element: ArrayElement) -> bytes:
    """PostgreSQL's binary form of an array, for a ``bytea`` of :func:`rows_copy`.

    psycopg takes ten times as long for a list. Source: ``array_recv`` in PostgreSQL: dimensions, whether
    there are nulls, the elements' type, their number, the first index; then each behind its length.
    """
    code, oid, size = element
    if not values:
        return struct.pack(">3i", 0, 0, oid)
    body: list[float] = [size] * (2 * len(values))
    body[1::2] = values
    return struct.pack(f">5i{('i' + code) * len(values)}", 1, 0, oid, len(values), 1, *body)


def rows_update(statement: str, rows: Sequence[Mapping[str, Any]], *first: Any) -> None:
    """Run a statement whose parameters are ``first`` and then the rows, for ``json_to_recordset``.

    JSON carries lists and objects of any shape in one parameter, where arrays for ``unnest`` would be
    taken apart, and costs less to quote; pydantic writes it in a quarter of the time that Django's encoder
    takes. No rows: nothing is asked of the database.

    Raises:
        IntegrityError, DataError: nothing is changed.
    """
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [*first, to_json(rows).decode()])


def rows_read(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
