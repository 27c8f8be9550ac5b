"""The trash."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import assets_json
from dam.api.assets import signed_in
from dam.api.bulk import result_json
from dam.api.pages import PageQuerySerializer, asked_of, page_of, sent_by
from dam.api.problems import problems
from dam.api.serializers import AssetListPageSerializer
from dam.api.serializers_curation import BulkResultSerializer
from dam.api.serializers_organising import IdsSerializer
from dam.assets.trash_selectors import assets_restorable_by
from dam.curation.bulk import bulk_purge, bulk_restore
from dam.curation.selection import Selection
from dam.search.paging import Sort
from dam.search.selectors import loaded

_LATEST = Sort("Latest first", "trashed_at", descending=True)
_ACTS: dict[Any, Any] = {200: BulkResultSerializer, **problems(400, 415)}


class Trash(APIView):
    """What lies in the trash."""

    @extend_schema(
        operation_id="trash_list",
        summary="List the trash",
        parameters=[PageQuerySerializer],
        responses={200: AssetListPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """What you may take out of it: where you curate, and what you contributed; the latest first."""
        body = page_of(
            loaded(assets_restorable_by(signed_in(request))),
            name="trash",
            sort=_LATEST,
            asked=asked_of(request, PageQuerySerializer),
            to_json=assets_json,
        )
        return Response(body)


class TrashRestore(APIView):
    """The way back."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="trash_restore",
        summary="Take assets out of the trash",
        request=IdsSerializer,
        responses=_ACTS,
    )
    def post(self, request: Request) -> Response:
        """To where they lay."""
        ids = sent_by(request, IdsSerializer)["ids"]
        result = bulk_restore(user=signed_in(request), selection=Selection(ids=ids))
        return Response(result_json(result))


class TrashPurge(APIView):
    """The way that is none back."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="trash_purge",
        summary="Delete assets of the trash for ever",
        request=IdsSerializer,
        responses=_ACTS,
    )
    def post(self, request: Request) -> Response:
        """By who manages their collection."""
        ids = sent_by(request, IdsSerializer)["ids"]
        result = bulk_purge(user=signed_in(request), selection=Selection(ids=ids))
        return Response(result_json(result))
