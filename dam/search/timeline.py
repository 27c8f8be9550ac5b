"""How many pictures of a search each month has, and the page on which a month begins.

Exact for up to :data:`EXACT_BOUND` pictures. Of more than that, evenly spread stretches of ids are counted
and scaled, so that a million pictures cost what ten thousand do; such numbers are marked as estimates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from django.db.models import Max, Min, Q, QuerySet
from django.db.models.functions import TruncMonth
from django.utils import timezone

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.search.compile import compile_query
from dam.search.paging import SORTS, Edge, cursor_write

EXACT_BOUND = 10_000
# Ids looked at for an estimate, and in how many stretches: more stretches follow the months more evenly,
# longer ones lie in fewer pages of the table.
_SAMPLE = 20_000
_STRETCHES = 100

TIMED = {"newest": "created_at", "oldest": "created_at", "taken": "taken_at"}
"""Sorts along time, and the time that they follow."""


@dataclass(frozen=True, slots=True)
class Month:
    """A month that has pictures."""

    start: date
    count: int


@dataclass(frozen=True, slots=True)
class Year:
    """The months of a year, in the order of the sort."""

    year: int
    count: int
    months: tuple[Month, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Years in the order of the sort."""

    years: tuple[Year, ...]
    estimated: bool
    """Whether the counts are scaled from a part, in two figures; a month of few pictures may be missing."""


def timeline_of(*, user: Person, query: str = "", sort: str = "newest") -> Timeline:
    """The months in which the pictures of a search were uploaded, or for the sort ``taken``, taken.

    Raises:
        SearchError: the query cannot be understood.
        KeyError: the sort does not follow time.
    """
    column = TIMED[sort]
    rows = assets_visible_to(user).filter(compile_query(query, user=user).condition)
    rows = rows.filter(**{f"{column}__isnull": False}).order_by()
    found = _months(rows, column, EXACT_BOUND + 1)
    estimated = len(found) > EXACT_BOUND
    counts: dict[date, int] = Counter(found)
    if estimated:
        inside, share = _stretches()
        sample = Counter(_months(rows.filter(inside), column))
        counts = {month: _two_figures(count / share) for month, count in sample.items()}
    ordered = sorted(counts, reverse=sort != "oldest")
    return Timeline(years=tuple(_years(ordered, counts)), estimated=estimated)


def _months(rows: QuerySet[Asset], column: str, bound: int | None = None) -> list[date]:
    found = rows.values_list(TruncMonth(column), flat=True)[:bound]
    return [moment.date() for moment in found]


def _years(months: Iterable[date], counts: dict[date, int]) -> Iterable[Year]:
    for year, of_year in groupby(months, key=lambda month: month.year):
        entries = tuple(Month(start=month, count=counts[month]) for month in of_year)
        yield Year(year=year, count=sum(entry.count for entry in entries), months=entries)


def _stretches() -> tuple[Q, float]:
    """Evenly spread stretches of ids, and which share of all ids they hold."""
    ends = Asset.objects.aggregate(low=Min("id"), high=Max("id"))
    low, high = ends["low"] or 0, ends["high"] or 0
    span = high - low + 1
    length = max(1, min(span, _SAMPLE) // _STRETCHES)
    step = max(span / _STRETCHES, length)
    inside, held = Q(), 0
    for number in range(_STRETCHES):
        first = low + int(number * step)
        if first > high:
            break
        last = min(first + length - 1, high)
        inside |= Q(id__range=(first, last))
        held += last - first + 1
    return inside, held / span


def _two_figures(number: float) -> int:
    whole = max(1, round(number))
    return int(round(whole, 2 - len(str(whole))))


def cursor_at(*, sort: str, month: date) -> str:
    """The cursor of the page that begins with a month's first picture in the order of the sort.

    Raises:
        KeyError: the sort does not follow time.
    """
    column = TIMED[sort]
    begins = datetime(month.year, month.month, 1, tzinfo=timezone.get_current_timezone())
    year, following = divmod(month.year * 12 + month.month, 12)
    ends = begins.replace(year=year, month=following + 1)
    if column != "created_at":
        edge = Edge(key=ends, pk=0)
    elif SORTS[sort].descending:
        edge = Edge(key=None, pk=_first_id_since(ends))
    else:
        edge = Edge(key=None, pk=_first_id_since(begins) - 1)
    cursor = cursor_write(sort, edge)
    assert cursor is not None
    return cursor


def _first_id_since(moment: datetime) -> int:
    """The first id that was given at or after a moment; ids grow with the time of upload.

    By halving: some twenty looks into the primary key, where the time of upload itself has no index.
    """
    ends = Asset.objects.aggregate(low=Min("id"), high=Max("id"))
    low, high = ends["low"] or 1, (ends["high"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        at = Asset.objects.filter(pk__gte=middle).order_by("pk").values_list("created_at", flat=True).first()
        if at is None or at >= moment:
            high = middle
        else:
            low = middle + 1
    return low
