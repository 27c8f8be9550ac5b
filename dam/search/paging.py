"""Pages by key: the next page begins after the last row of this one, so page 1,000 costs what page 1 does.

A cursor is the sort key and id of the row at a page's edge, signed, so that nobody has to trust it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, Protocol, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import BooleanField, F, Func, Model, Q, QuerySet, Value

M = TypeVar("M", bound=Model)
R_co = TypeVar("R_co", covariant=True)


class CursorError(Exception):
    """A cursor that this sort never gave out."""


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of rows: by a column, then by id, both in the same direction."""

    label: str
    """For people."""
    column: str = "id"
    descending: bool = False
    nullable: bool = False
    """Rows without a value come last, by their id."""


SORTS: dict[str, Sort] = {
    "newest": Sort("Newest first", descending=True),
    "oldest": Sort("Oldest first"),
    "name": Sort("Name", "sort_name"),
    "taken": Sort("Date taken, newest first", "taken_at", descending=True, nullable=True),
    "size": Sort("Largest file first", "size", descending=True),
}


@dataclass(frozen=True, slots=True)
class Edge:
    """The row beside which a page begins; the page lies before it if ``backwards``."""

    key: Any
    pk: int
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Slice(Generic[M]):
    """Rows in the order of the sort, and where the pages beside them begin."""

    rows: list[M]
    next: Edge | None
    previous: Edge | None


def cursor_write(name: str, edge: Edge | None) -> str | None:
    """The opaque form of an edge in the list of that name."""
    if edge is None:
        return None
    key = edge.key
    if isinstance(key, date):
        key = {"at" if isinstance(key, datetime) else "on": key.isoformat()}
    return _signer(name).sign_object([key, edge.pk, edge.backwards], compress=True)


def cursor_read(name: str, cursor: str) -> Edge:
    """The edge in a cursor.

    Raises:
        CursorError: it was changed, or was given out for another list.
    """
    try:
        key, pk, backwards = _signer(name).unsign_object(cursor)
    except (BadSignature, ValueError) as error:
        raise CursorError("This is not a cursor of this list; begin without one.") from error
    if isinstance(key, dict):
        key = datetime.fromisoformat(key["at"]) if "at" in key else date.fromisoformat(key["on"])
    return Edge(key=key, pk=pk, backwards=backwards)


def _signer(name: str) -> Signer:
    return Signer(salt=f"dam.search.paging:{name}")


def page_slice(rows: QuerySet[M], *, sort: Sort, edge: Edge | None, limit: int) -> Slice[M]:
    """Up to ``limit`` rows beside the edge; the first ones without an edge. One or two queries."""

    def beside(count: int, *, backwards: bool) -> list[M]:
        found: list[M] = []
        for part in ranges(sort, edge, backwards=backwards):
            found += rows.filter(*part.conditions).order_by(*part.order)[: count - len(found)]
            if len(found) == count:
                break
        return found

    return slice_around(beside, sort=sort, edge=edge, limit=limit)


class Beside(Protocol[R_co]):
    """Finds up to so many rows from the edge on, in the direction of reading."""

    def __call__(self, count: int, *, backwards: bool) -> Sequence[R_co]:
        """In the order of reading: away from the edge."""


def slice_around(beside: Beside[M], *, sort: Sort, edge: Edge | None, limit: int) -> Slice[M]:
    """The slice of whatever finds rows beside an edge; it is asked for one more than are shown."""
    backwards = edge is not None and edge.backwards
    found = list(beside(limit + 1, backwards=backwards))
    more = len(found) > limit
    found = found[:limit]
    if backwards:
        found.reverse()
    # A page reached by a cursor has a neighbour on the side it was reached from.
    has_next = more if not backwards else True
    has_previous = more if backwards else edge is not None
    return Slice(
        rows=found,
        next=_edge(sort, found[-1], backwards=False) if found and has_next else None,
        previous=_edge(sort, found[0], backwards=True) if found and has_previous else None,
    )


def edge_of(sort: Sort, row: Model, *, backwards: bool) -> Edge:
    """The edge at a row that is known."""
    return _edge(sort, row, backwards=backwards)


def _edge(sort: Sort, row: Model, *, backwards: bool) -> Edge:
    key = None if sort.column == "id" else getattr(row, sort.column)
    return Edge(key=key, pk=row.pk, backwards=backwards)


@dataclass(frozen=True, slots=True)
class Range:
    """A range of the index (column, id): conditions on the rows, and their order."""

    conditions: tuple[Any, ...]
    order: tuple[str, ...]


def ranges(sort: Sort, edge: Edge | None, *, backwards: bool) -> Iterator[Range]:
    """What is read from the edge on, one range after the other."""
    for dated in _segments(sort, edge, backwards=backwards):
        column = sort.column if dated else "id"
        conditions: list[Any] = []
        if sort.nullable:
            conditions.append(Q(**{f"{sort.column}__isnull": not dated}))
        if edge is not None and (not sort.nullable or (edge.key is not None) == dated):
            conditions.append(_after(column, edge, descending=sort.descending != backwards))
        order: tuple[str, ...] = (column,) if column == "id" else (column, "id")
        if sort.descending != backwards:
            order = tuple(f"-{name}" for name in order)
        yield Range(tuple(conditions), order)


def _segments(sort: Sort, edge: Edge | None, *, backwards: bool) -> Sequence[bool]:
    """Which rows are read, one after the other: True for those with a key, False for those without.

    Each is a range of the index (column, id) by itself; one condition for both would not be.
    """
    if not sort.nullable:
        return (True,)
    if edge is None:
        return (True, False)
    if edge.key is None:
        return (False, True) if backwards else (False,)
    return (True,) if backwards else (True, False)


def _after(column: str, edge: Edge, *, descending: bool) -> _RowComparison:
    sign = "<" if descending else ">"
    if column == "id":
        return _RowComparison(F("id"), Value(edge.pk), sign=sign, width=1)
    return _RowComparison(F(column), F("id"), Value(edge.key), Value(edge.pk), sign=sign, width=2)


class _RowComparison(Func):
    """``(a, b) < (x, y)``, which PostgreSQL finds in an index; as AND and OR of columns it does not."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, *expressions: Any, sign: str, width: int) -> None:
        super().__init__(*expressions)
        self.sign, self.width = sign, width

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        del connection
        parts, params = [], []
        for expression in self.source_expressions:
            sql, values = compiler.compile(expression)
            parts.append(sql)
            params += values
        left, right = ", ".join(parts[: self.width]), ", ".join(parts[self.width :])
        return f"({left}) {self.sign} ({right})", params
