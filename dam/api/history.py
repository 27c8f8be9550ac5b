"""Who did what, when, from where."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.pages import NEWEST, PageQuerySerializer, asked_of, page_of
from dam.api.problems import problems
from dam.api.serializers_curation import AuditEntrySerializer, HistoryPageSerializer, HistoryQuerySerializer
from dam.assets.history import HistoryFilters, entries_of, entries_visible_to
from dam.audit.models import AuditEntry
from dam.search.selectors import asset_get


class History(APIView):
    """What was done."""

    @extend_schema(
        operation_id="history_list",
        summary="Read who did what",
        parameters=[HistoryQuerySerializer],
        responses={200: HistoryPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Your own acts, and what happened in collections that you manage; superusers read all."""
        asked = asked_of(request, HistoryQuerySerializer)
        filters = HistoryFilters(
            actor=asked["actor"],
            action=asked["action"],
            object_type=asked["object_type"],
            object_id=asked.get("object_id"),
            collection_id=asked.get("collection"),
            since=asked.get("since"),
            until=asked.get("until"),
        )
        return _page(entries_visible_to(user=signed_in(request), filters=filters), "history", asked)


class AssetHistory(APIView):
    """What was done to one asset."""

    @extend_schema(
        operation_id="assets_history",
        summary="Read what was done to an asset",
        parameters=[PageQuerySerializer],
        responses={200: HistoryPageSerializer, **problems(400, 404)},
    )
    def get(self, request: Request, asset_id: int) -> Response:
        """All of it, if you may change the asset; else your own acts."""
        user = signed_in(request)
        asset = asset_get(user=user, asset_id=asset_id)
        entries = entries_of(user=user, object_type="asset", object_id=asset.pk)
        return _page(entries, f"history of {asset.pk}", asked_of(request, PageQuerySerializer))


def _page(entries: QuerySet[AuditEntry], name: str, asked: dict[str, Any]) -> Response:
    def to_json(rows: list[AuditEntry]) -> Any:
        many: Any = rows
        return AuditEntrySerializer(many, many=True).data

    return Response(page_of(entries, name=name, sort=NEWEST, asked=asked, to_json=to_json))
