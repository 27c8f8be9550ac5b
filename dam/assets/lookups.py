"""Lookups of the database that Django lacks."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import Field, ForeignObject, Lookup


# Fields and foreign keys know each their own.
@ForeignObject.register_lookup
@Field.register_lookup
class AnyOf(Lookup):
    """``id__any_of=ids``: as ``__in`` for whole numbers, but as one parameter instead of hundreds.

    PostgreSQL plans both alike, and to write hundreds of parameters takes longer than many a statement.
    """

    lookup_name = "any_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """As Django asks for it.

        Raises:
            EmptyResultSet: there is no number, so there is no row.
        """
        numbers = ",".join(str(int(number)) for number in self.rhs)
        if not numbers:
            raise EmptyResultSet
        statement, parameters = self.process_lhs(compiler, connection)
        return f"{statement} = ANY (%s::bigint[])", (*parameters, f"{{{numbers}}}")


@Field.register_lookup
class Within(Lookup):
    """``id__within=[(first, last), …]``: in one of these stretches, ends included.

    PostgreSQL gets what ``Q(id__range=…) | …`` writes, but Django takes its time over each of those.
    """

    lookup_name = "within"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """As Django asks for it.

        Raises:
            EmptyResultSet: there is no stretch, so there is no row.
        """
        if not self.rhs:
            raise EmptyResultSet
        statement, parameters = self.process_lhs(compiler, connection)
        tried = " OR ".join([f"{statement} BETWEEN %s AND %s"] * len(self.rhs))
        return f"({tried})", tuple(value for ends in self.rhs for value in (*parameters, *ends))
