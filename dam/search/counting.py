"""Numbers of pictures as people read them, and what PostgreSQL expects before it looks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from dam.assets.models import Asset


@dataclass(frozen=True, slots=True)
class Count:
    """A number of assets.

    ``exact``: it is the number. ``estimated``: scaled from a part, in two figures. Neither: there are more.
    """

    value: int
    exact: bool
    estimated: bool = False

    def __str__(self) -> str:
        if self.estimated:
            return f"≈ {self.value:,}"
        return f"{self.value:,}" if self.exact else f"{self.value:,}+"


def bounded_count(rows: QuerySet[Asset], bound: int) -> Count:
    """How many rows, counted no further than ``bound``."""
    number = rows.order_by()[: bound + 1].count()
    return Count(value=min(number, bound), exact=number <= bound)


def planned_rows(rows: QuerySet[Any]) -> int:
    """How many rows PostgreSQL expects, by its statistics; costs nothing but the planning."""
    try:
        statement, parameters = rows.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        (answer,) = cursor.fetchone()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return int(plan[0]["Plan"]["Plan Rows"])


def two_figures(number: float) -> int:
    """385,123 → 390,000: no more than an estimate knows."""
    whole = max(1, round(number))
    return int(round(whole, 2 - len(str(whole))))
