"""The vocabulary, and the ledger."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.problems import problems
from dam.api.serializers_tags import LedgerSerializer, TagPageSerializer, TagQuerySerializer
from dam.jobs.ledger import ledger
from dam.search.paging import Sort, cursor_read, cursor_write, page_slice
from dam.search.tags import suggest_tags, with_parents
from dam.tagging.models import Tag

_BY_NAME = Sort("Name", "name")
_LIST = "tags"


class Tags(APIView):
    """The active tags."""

    @extend_schema(
        operation_id="tags_list",
        summary="Find tags",
        parameters=[TagQuerySerializer],
        responses={200: TagPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """With `q`, the best completions of it; without, all of them by name, in pages."""
        asked = TagQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        text, limit, cursor = (asked.validated_data[name] for name in ("q", "limit", "cursor"))
        if text:
            suggestions = {s.tag.pk: s for s in suggest_tags(user=signed_in(request), text=text, limit=limit)}
            tags = [suggestion.tag for suggestion in suggestions.values()]
            body: dict[str, Any] = {"results": tags, "next": None, "previous": None}
            return Response(TagPageSerializer(body, context={"suggestions": suggestions}).data)
        page = page_slice(
            with_parents(Tag.objects.filter(active=True)),
            sort=_BY_NAME,
            edge=cursor_read(_LIST, cursor) if cursor else None,
            limit=limit,
        )
        body = {
            "results": page.rows,
            "next": cursor_write(_LIST, page.next),
            "previous": cursor_write(_LIST, page.previous),
        }
        return Response(TagPageSerializer(body).data)


class LedgerSums(APIView):
    """What became of every upload and every job."""

    permission_classes = (IsAdminUser,)

    @extend_schema(
        operation_id="ledger_get",
        summary="Read the ledger",
        responses={200: LedgerSerializer, **problems(403)},
    )
    def get(self, request: Request) -> Response:
        """One consistent view of the sums, for staff."""
        del request
        return Response(LedgerSerializer(ledger()).data)
