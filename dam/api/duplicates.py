"""Pairs of assets that look the same."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import asset_json
from dam.api.assets import asset_answer, signed_in
from dam.api.pages import PageQuerySerializer, asked_of, sent_by
from dam.api.problems import problems
from dam.api.serializers import AssetSerializer
from dam.api.serializers_curation import DuplicatePageSerializer, KeepSerializer
from dam.curation.duplicates import Pair, duplicate_dismiss, duplicate_get, duplicate_pairs
from dam.curation.merging import duplicate_keep


class Duplicates(APIView):
    """Open pairs."""

    @extend_schema(
        operation_id="duplicates_list",
        summary="List pairs of assets that look the same",
        parameters=[PageQuerySerializer],
        responses={200: DuplicatePageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Those of which you see both, the latest found first."""
        asked = asked_of(request, PageQuerySerializer)
        page = duplicate_pairs(user=signed_in(request), cursor=asked["cursor"] or None, limit=asked["limit"])
        return Response({"results": [_pair_json(pair) for pair in page.pairs], "next": page.next_cursor})


class DuplicateKeep(APIView):
    """One of two stays."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="duplicates_keep",
        summary="Keep one of two and merge what is known of them",
        request=KeepSerializer,
        responses={200: AssetSerializer, **problems(400, 403, 404, 415)},
    )
    def post(self, request: Request, pair_id: int) -> Response:
        """The other goes to the trash; by who curates both. Answers with the one that stays."""
        user = signed_in(request)
        pair = duplicate_get(user=user, pair_id=pair_id)
        keep = sent_by(request, KeepSerializer)["keep"]
        duplicate_keep(pair=pair, keep_id=keep, user=user)
        return asset_answer(request, keep)


class DuplicateDismiss(APIView):
    """Both stay."""

    @extend_schema(
        operation_id="duplicates_dismiss",
        summary="Say that two assets are not the same picture",
        request=None,
        responses={204: None, **problems(403, 404)},
    )
    def post(self, request: Request, pair_id: int) -> Response:
        """The pair is offered to nobody any more; by who curates both."""
        user = signed_in(request)
        duplicate_dismiss(pair=duplicate_get(user=user, pair_id=pair_id), user=user)
        return Response(status=204)


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.pair.pk,
        "distance": pair.pair.distance,
        "same_bytes": pair.same_bytes,
        "may_decide": pair.may_decide,
        "first": asset_json(pair.first),
        "second": asset_json(pair.second),
    }
