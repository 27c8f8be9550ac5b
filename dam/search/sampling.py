"""How many pictures a search finds: exact while that is quick, else an estimate that is shown as one.

An estimate looks at evenly spread stretches of ids and scales what it finds there, so a million pictures cost
what thirty thousand do. How many stretches are looked at follows from a small sample before, which does not
count in the estimate itself: so the estimate has no bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.db import connection
from django.db.models import Q, QuerySet

from dam.assets.models import Asset
from dam.search.counting import Count, bounded_count, planned_rows, two_figures
from dam.search.fence import fenced

EXACT_UP_TO = 10_000
"""What finds no more than so many is counted and sorted into facets one by one."""
_EXPECTED_EXACT = 10_500
_PLANNED_EXACT = 60_000
_SMALL_LIBRARY = 20_000
_ENOUGH_MATCHES = 5_000
_PILOT_STRETCHES, _PILOT_LENGTH = 32, 75
_STRETCHES = 48
_MOST_IDS = 240_000
_MOST_READ_FIRST = 70_000
_HINT_IDS, _HINT_STRETCHES, _HINT_LENGTH = 5_000, 12, 80
# Multiples of it fall evenly however many are taken (Weyl 1916; Knuth 6.4, "Fibonacci hashing").
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Sample:
    """Which ids are looked at, and which share of all ids they are; everything: a share of 1."""

    condition: Q
    share: float
    first: bool = True
    """The stretches are read first and the search tried on them; else its indexes help to find them."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self.share >= 1

    def of(self, rows: QuerySet[Asset]) -> QuerySet[Asset]:
        """Those of the rows that are in the sample, in no order."""
        if self.is_everything:
            return rows.order_by()
        if self.first:
            return fenced(rows.order_by(), Asset.objects.filter(self.condition))
        return rows.filter(self.condition).order_by()

    def count(self, found: int) -> Count:
        """What ``found`` in the sample says of the whole."""
        if self.is_everything:
            return Count(found, exact=True)
        return Count(two_figures(found / self.share), exact=False, estimated=True)


EVERYTHING = Sample(Q(), 1)


def count_of(rows: QuerySet[Asset], *, bound: int = EXACT_UP_TO) -> Count:
    """How many rows: exact up to :data:`EXACT_UP_TO`, an estimate above; with another bound, up to that."""
    if bound != EXACT_UP_TO:
        return bounded_count(rows, bound)
    sample = sample_for(rows)
    return sample.count(sample.of(rows).count())


def sample_for(rows: QuerySet[Asset]) -> Sample:
    """What to look at so that it is quick and enough: everything, where that is little."""
    low, span = _ids()
    if span <= _SMALL_LIBRARY:
        return EVERYTHING
    pilot = _stretches(low, span, _PILOT_STRETCHES, _PILOT_LENGTH, phase=0)
    density = pilot.of(rows).count() / (pilot.share * span)
    if density * span <= _EXPECTED_EXACT and planned_rows(rows) <= _PLANNED_EXACT:
        return EVERYTHING
    ids = min(_MOST_IDS, _ENOUGH_MATCHES / density) if density else _MOST_IDS
    if ids > span / 2:
        return EVERYTHING
    sample = _stretches(low, span, _STRETCHES, math.ceil(ids / _STRETCHES), phase=0.5)
    return replace(sample, first=ids <= _MOST_READ_FIRST)


def small_sample() -> Sample:
    """A look at the library that takes a few milliseconds; everything, if that is so little."""
    low, span = _ids()
    return EVERYTHING if span <= _HINT_IDS else _stretches(low, span, _HINT_STRETCHES, _HINT_LENGTH, phase=0)


def _ids() -> tuple[int, int]:
    """The lowest id of an asset, and how many ids there may be from it on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM assets_asset")
        low, high = cursor.fetchone()
    return (1, 0) if low is None else (low, high - low + 1)


def _stretches(low: int, span: int, number: int, length: int, *, phase: float) -> Sample:
    """Stretches of ids at golden distances; those that touch become one, so none counts twice."""
    stretches = list(_merged(low, span, number, length, phase))
    held = sum(last - first + 1 for first, last in stretches)
    return Sample(Q(id__within=stretches), held / span)


def _merged(low: int, span: int, number: int, length: int, phase: float) -> Iterator[tuple[int, int]]:
    firsts = sorted(int((phase + k * _GOLDEN) % 1 * (span - length + 1)) for k in range(number))
    first, last = firsts[0], firsts[0] + length - 1
    for begin in firsts[1:]:
        if begin > last + 1:
            yield low + first, low + last
            first = begin
        last = begin + length - 1
    yield low + first, low + last
