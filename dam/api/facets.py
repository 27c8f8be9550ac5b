"""What the assets of a search have, counted: how to narrow it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.pages import asked_of
from dam.api.problems import problems
from dam.api.serializers_search import FacetsQuerySerializer, FacetsSerializer
from dam.api.serializers_tags import count_json
from dam.search.facets import Facet, facets_of


class FacetsOfSearch(APIView):
    """The facets of a search."""

    @extend_schema(
        operation_id="assets_facets",
        summary="Read the facets of a search",
        parameters=[FacetsQuerySerializer],
        responses={200: FacetsSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Only values that lead somewhere; of very many assets the counts are estimates, and say so."""
        asked = asked_of(request, FacetsQuerySerializer)
        found = facets_of(user=signed_in(request), query=asked["q"])
        return Response(
            {
                "total": count_json(found.total),
                "facets": [_facet_json(facet) for facet in found.facets],
                "estimated": found.estimated,
            }
        )


def _facet_json(facet: Facet) -> dict[str, Any]:
    return {
        "name": facet.name,
        "label": facet.label,
        "values": [
            {
                "term": value.term,
                "label": value.label,
                "count": count_json(value.count),
                "all_have_it": value.all_have_it,
            }
            for value in facet.values
        ],
    }
