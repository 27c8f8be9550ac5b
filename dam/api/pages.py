"""Lists in pages by cursor, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from dam.search.paging import SORTS, Sort, cursor_read, cursor_write, page_slice

M = TypeVar("M", bound=Model)

NEWEST = Sort("Newest first", descending=True)
BY_NAME = Sort("Name", "name")
BIGGEST_ID = 2**63 - 1
SORT_NAMES = [*SORTS, "similar"]
"""Orders of a search. “similar” is that of a query with ``similar:``; without one, it is the newest first."""


class StrictSerializer(serializers.Serializer[Any]):
    """A body in which nothing unknown stands: who mistypes a name learns of it."""

    def to_internal_value(self, data: Any) -> Any:
        """As Django REST framework does.

        Raises:
            ValidationError: there is a name that nothing is known by, or what is known makes no sense.
        """
        unknown = sorted(data.keys() - self.fields.keys()) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class PageQuerySerializer(serializers.Serializer[Any]):
    """Which page."""

    cursor = serializers.CharField(
        default="", allow_blank=True, help_text="`next` or `previous` of a page; empty: the first."
    )
    limit = serializers.IntegerField(default=60, min_value=1, max_value=200)


class IdField(serializers.IntegerField):
    """The id of a row, of which there may be none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=BIGGEST_ID, **options)


def id_list(**options: Any) -> serializers.ListField:
    """At least one id, and no more than one request works on."""
    return serializers.ListField(child=IdField(), allow_empty=False, max_length=10_000, **options)


def asked_of(request: Request, form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """What the address asks for.

    Raises:
        ValidationError: something that makes no sense.
    """
    asked = form(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def sent_by(
    request: Request, form: type[serializers.Serializer[Any]], *, partial: bool = False
) -> dict[str, Any]:
    """What the body says.

    Raises:
        ValidationError: something that makes no sense.
    """
    sent = form(data=request.data, partial=partial)
    sent.is_valid(raise_exception=True)
    return dict(sent.validated_data)


def page_of(
    rows: QuerySet[M],
    *,
    name: str,
    sort: Sort,
    asked: dict[str, Any],
    to_json: Callable[[list[M]], Any],
) -> dict[str, Any]:
    """One page of rows: ``results``, ``next`` and ``previous``.

    Args:
        rows: those that the person may see, in any order.
        name: of the list; its cursors fit no other.
        sort: their order.
        asked: of :class:`PageQuerySerializer`.
        to_json: makes the results.

    Raises:
        CursorError: the cursor is not one of this list.
    """
    edge = cursor_read(name, asked["cursor"]) if asked["cursor"] else None
    page = page_slice(rows, sort=sort, edge=edge, limit=asked["limit"])
    return {
        "results": to_json(page.rows),
        "next": cursor_write(name, page.next),
        "previous": cursor_write(name, page.previous),
    }
