"""What somebody selected: pictures one by one, or all that a search finds but for a few."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import F

from dam.assets.editing_checks import AT_ONCE
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Level
from dam.assets.selectors import Person, assets_visible_to
from dam.search.compile import compile_query
from dam.search.paging import SORTS
from dam.search.selectors import DEFAULT_SORT, SIMILAR


@dataclass(frozen=True, slots=True)
class Selection:
    """Pictures by their ids, or, if ``query`` is not None, all that it finds without ``excluded``."""

    ids: Collection[int] = ()
    query: str | None = None
    sort: str = "newest"
    """The order of what the query finds."""
    excluded: Collection[int] = ()


def selection_ids(
    *, user: Person, selection: Selection, level: Level = Level.VIEW, limit: int = AT_ONCE
) -> list[int]:
    """Ids of what was selected and the person has that right to, in order, each once.

    What they may not see is left out, as if it did not exist.

    Raises:
        InvalidChangeError: more than ``limit``; ids and a query at once; no such sort.
        SearchError: the query cannot be understood.
    """
    if selection.query is None:
        return _chosen(user, selection, level, limit)
    if selection.ids:
        raise InvalidChangeError("A selection has ids or a query, not both.", field="selection")
    rows = assets_visible_to(user, level)
    compiled = compile_query(selection.query, user=user)
    rows = rows.filter(compiled.condition)
    if selection.excluded:
        rows = rows.exclude(pk__in=list(selection.excluded))
    if compiled.ranked is not None and selection.sort in {DEFAULT_SORT, SIMILAR}:
        found = set(rows.values_list("pk", flat=True))
        ids = [asset_id for asset_id in compiled.ranked if asset_id in found]
    else:
        # “similar” for a query without likeness is the newest first, as in a search.
        order = SORTS.get(DEFAULT_SORT if selection.sort == SIMILAR else selection.sort)
        if order is None:
            raise InvalidChangeError("There is no such sort.", field="sort", code="unknown-sort")
        key = F(order.column)
        by = key.desc(nulls_last=True) if order.descending else key.asc(nulls_last=True)
        rows = rows.order_by(by, "-pk" if order.descending else "pk")
        ids = list(rows.values_list("pk", flat=True)[: limit + 1])
    _few_required(len(ids), limit)
    return ids


def _chosen(user: Person, selection: Selection, level: Level, limit: int) -> list[int]:
    excluded = set(selection.excluded)
    wanted = [pk for pk in dict.fromkeys(selection.ids) if pk not in excluded]
    _few_required(len(wanted), limit)
    known = set(assets_visible_to(user, level).filter(pk__in=wanted).values_list("pk", flat=True))
    return [pk for pk in wanted if pk in known]


def _few_required(number: int, limit: int) -> None:
    if number > limit:
        raise InvalidChangeError(
            f"These are more than {limit:,} pictures, the most at once. Narrow the search.",
            field="selection",
            code="too-many",
        )
