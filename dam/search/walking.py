"""Which pictures a page shows, at a cost that no choice of words makes large.

The planner can follow the order of the sort until a page is full, or gather all that fits and sort it. It
decides by statistics, which do not know that two tags are never together, or that all pictures of a wedding
are old; then it reads a million rows for nothing. So the order is followed for a bounded stretch only, and if
the page is not full by then, what fits is gathered by the indexes of tags and words.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from dam.assets.models import Asset
from dam.search.counting import planned_rows
from dam.search.fence import fenced
from dam.search.paging import Edge, Range, Slice, Sort, ranges, slice_around

FIRST_STRETCH = 1_500
"""Rows in the order of the sort: a page of what one picture in twenty has."""
LONGEST_STRETCH = 20_000


def assets_slice(rows: QuerySet[Asset], *, sort: Sort, edge: Edge | None, limit: int) -> Slice[Asset]:
    """As ``paging.page_slice``, of assets with their ids and sort keys alone. One to four statements."""
    light = rows.only("pk") if sort.column == "id" else rows.only("pk", sort.column)

    def beside(count: int, *, backwards: bool) -> list[Asset]:
        found: list[Asset] = []
        for part in ranges(sort, edge, backwards=backwards):
            found += _first(light, part, count - len(found))
            if len(found) == count:
                break
        return found

    return slice_around(beside, sort=sort, edge=edge, limit=limit)


def _first(rows: QuerySet[Asset], part: Range, count: int) -> list[Asset]:
    """The first of the rows in a range of the sort's index."""
    found = _within(rows, part, FIRST_STRETCH, count)
    if len(found) < count and (stretch := _next_stretch(rows, len(found), count)):
        found = _within(rows, part, stretch, count)
    if len(found) < count:
        # No index has this order, so what fits is found first and sorted then.
        order = [_by_no_index(name) for name in part.order]
        found = list(rows.filter(*part.conditions).order_by(*order)[:count])
    return found


def _next_stretch(rows: QuerySet[Asset], found: int, count: int) -> int:
    """How far to follow the order now, if that is less than to gather; 0: gather."""
    if not found:
        return 0
    likely = int(1.5 * count / found * FIRST_STRETCH)
    # Rows in the order lie side by side; what is gathered lies everywhere, and some of it in vain.
    return likely if likely <= LONGEST_STRETCH and likely < 3 * planned_rows(rows) else 0


def _by_no_index(name: str) -> Any:
    column = name.removeprefix("-")
    expression = Coalesce(F(column), F(column))
    return expression.desc() if name.startswith("-") else expression.asc()


def _within(rows: QuerySet[Asset], part: Range, stretch: int, count: int) -> list[Asset]:
    """Of the next ``stretch`` rows in the order, those that fit: at most ``count``."""
    ordered = Asset.objects.filter(*part.conditions).order_by(*part.order)[:stretch]
    return list(fenced(rows.order_by(*part.order), ordered)[:count])
