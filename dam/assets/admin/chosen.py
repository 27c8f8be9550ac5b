"""What an action of a list was chosen for."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

# More at once would keep the request longer than a web server waits.
_MOST_AT_ONCE = 5_000


_Row = TypeVar("_Row", bound=Model)


def chosen_rows(request: HttpRequest, queryset: QuerySet[_Row]) -> list[_Row]:
    """What an action was chosen for, oldest first; nothing, and a message, if that is too much."""
    rows = list(queryset.select_related(None).order_by("pk").only("pk")[: _MOST_AT_ONCE + 1])
    if len(rows) > _MOST_AT_ONCE:
        messages.error(request, f"Choose at most {_MOST_AT_ONCE:,} at once.")
        return []
    return rows
