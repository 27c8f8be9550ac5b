"""A condition that is tried on some rows alone, whatever the planner thinks of its indexes."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.sql import Query
from django.db.models.sql.datastructures import BaseTable

from dam.assets.models import Asset


def fenced(rows: QuerySet[Asset], among: QuerySet[Asset]) -> QuerySet[Asset]:
    """Those of ``rows`` that are ``among`` these, which are read first; the order of ``rows`` holds.

    If ``among`` has that order, too, no more of them are read than are needed.
    """
    query = rows.query.clone()
    table = query.get_initial_alias()
    query.alias_map[table] = _Fenced(among.values("pk").query, table)
    return QuerySet(model=Asset, query=query)


class _Fenced(BaseTable):
    """A query that stands where its table would: the planner may not mix its conditions with others."""

    def __init__(self, query: Query, alias: str) -> None:
        super().__init__(alias, alias)
        self.query = query

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        statement, parameters = self.query.get_compiler(connection=connection).as_sql()
        # All columns, which Django would name one by one, each time anew.
        statement = "SELECT * FROM " + statement.partition(" FROM ")[2]  # noqa: S608 - Django's own
        # Without a limit of its own, OFFSET 0 is what keeps a subquery from being merged into its query.
        fence = "" if self.query.is_sliced else " OFFSET 0"
        return f"({statement}{fence}) {compiler.quote_name_unless_alias(self.table_alias)}", tuple(parameters)
