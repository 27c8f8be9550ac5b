"""Which pictures a page shows, at a cost that no choice of words makes large.

The planner can follow the order of the sort until a page is full, or gather all that fits and sort it. It
decides by statistics, which do not know that two tags are never together, or that all pictures of a wedding
are old; then it reads a million rows for nothing. So the order is followed for a bounded stretch only, and if
the page is not full by then, what fits is gathered by the indexes of tags and words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from dam.assets.models import Asset
from dam.search.counting import planned_rows
from dam.search.fence import fenced
from dam.search.paging import Edge, Range, Slice, Sort, ranges, slice_around

FIRST_STRETCH = 1_500
"""Rows in the order of the sort: a page of what one picture in twenty has."""
LONGEST_STRETCH = 20_000
FEW_DATED = 150_000
"""So many entries of the index of dates are looked through for the first in the order of ids."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page is of: that which a search finds among what somebody may see."""

    visible: QuerySet[Asset]
    condition: Q
    taken: Q | None = None
    """When all of it was taken, if the search says so: a part of the condition."""

    @property
    def rows(self) -> QuerySet[Asset]:
        """All of it."""
        return self.visible.filter(self.condition)


def assets_slice(wanted: Wanted, *, sort: Sort, edge: Edge | None, limit: int) -> Slice[Asset]:
    """As ``paging.page_slice``, of assets with their ids and sort keys alone. One to seven statements."""
    light = wanted.visible.only("pk") if sort.column == "id" else wanted.visible.only("pk", sort.column)
    wanted = replace(wanted, visible=light)

    def beside(count: int, *, backwards: bool) -> list[Asset]:
        found: list[Asset] = []
        for part in ranges(sort, edge, backwards=backwards):
            if sort.column == "taken_at" and wanted.taken is not None:
                part = replace(part, conditions=(*part.conditions, wanted.taken))  # noqa: PLW2901
            found += _first(wanted, part, count - len(found))
            if len(found) == count:
                break
        return found

    return slice_around(beside, sort=sort, edge=edge, limit=limit)


def _first(wanted: Wanted, part: Range, count: int) -> list[Asset]:
    """The first of what is wanted in a range of the sort's index."""
    found = _within(wanted, part, FIRST_STRETCH, count)
    if not found and (begins := _where_it_begins(wanted, part)) is not None:
        part = begins
        found = _within(wanted, part, FIRST_STRETCH, count)
    if len(found) < count and _goes_on(wanted, len(found), count):
        found = _within(wanted, part, LONGEST_STRETCH, count)
    if len(found) < count:
        # No index has this order, so what fits is found first and sorted then.
        order = [_by_no_index(name) for name in part.order]
        found = list(wanted.rows.filter(*part.conditions).order_by(*order)[:count])
    return found


def _where_it_begins(wanted: Wanted, part: Range) -> Range | None:
    """The range from the first picture on that was taken then, if ids are the order and it is quickly found.

    What was taken years ago was mostly uploaded years ago, too: far along in the order.
    """
    if wanted.taken is None or part.order[0].lstrip("-") != "id":
        return None
    dated = Asset.objects.filter(wanted.taken, *part.conditions)
    if planned_rows(dated) > FEW_DATED:
        return None
    # Of an id as it is, the planner would look for the first one along the order.
    descending = part.order[0].startswith("-")
    (first,) = dated.aggregate(first=(Max if descending else Min)(F("id") + 0)).values()
    if first is None:
        return None
    begins = Q(id__lte=first) if descending else Q(id__gte=first)
    return replace(part, conditions=(*part.conditions, begins))


def _goes_on(wanted: Wanted, found: int, count: int) -> bool:
    """Whether to follow the order on, after a first stretch in which too few were found, or to gather them.

    Where they lie in clusters, none can tell how far; the page is full as soon as it is, so no less is read.
    """
    likely = 1.5 * count / found * FIRST_STRETCH if found else math.inf
    # Rows in the order lie side by side; what is gathered lies everywhere, and some of it in vain.
    return likely <= LONGEST_STRETCH and likely < 3 * planned_rows(wanted.rows)


def _by_no_index(name: str) -> Any:
    column = name.removeprefix("-")
    expression = Coalesce(F(column), F(column))
    return expression.desc() if name.startswith("-") else expression.asc()


def _within(wanted: Wanted, part: Range, stretch: int, count: int) -> list[Asset]:
    """Of the next ``stretch`` rows in the order, those that are wanted: at most ``count``."""
    ordered = Asset.objects.filter(*part.conditions).order_by(*part.order)[:stretch]
    return list(fenced(wanted.rows.order_by(*part.order), ordered)[:count])
