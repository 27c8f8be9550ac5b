"""What may be used until when, and under which terms."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import assets_json
from dam.api.assets import signed_in
from dam.api.pages import asked_of, page_of
from dam.api.problems import problems
from dam.api.serializers import AssetListPageSerializer
from dam.api.serializers_curation import ExpiringQuerySerializer, LicenceListSerializer
from dam.assets.rights import LICENCES, assets_expiring
from dam.search.paging import Sort
from dam.search.selectors import loaded

_SOONEST = Sort("Soonest first", "expires_on")


class Expiring(APIView):
    """What expires soon."""

    @extend_schema(
        operation_id="rights_expiring",
        summary="List assets that expire soon",
        parameters=[ExpiringQuerySerializer],
        responses={200: AssetListPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Where you curate; the soonest first."""
        asked = asked_of(request, ExpiringQuerySerializer)
        rows = assets_expiring(
            user=signed_in(request), within_days=asked["within_days"], expired=asked["expired"]
        )
        body = page_of(loaded(rows), name="expiring", sort=_SOONEST, asked=asked, to_json=assets_json)
        return Response(body)


class Licences(APIView):
    """Licences that are offered."""

    @extend_schema(
        operation_id="licences_list",
        summary="List the licences that are offered",
        responses={200: LicenceListSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """An asset takes other words, too."""
        del request
        return Response({"results": [{"id": key, "name": name} for key, name in LICENCES.items()]})
