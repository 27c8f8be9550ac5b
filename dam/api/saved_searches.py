"""Searches that people keep, and those that they made lately."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.etag import IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, answer, edit_hash, require_match
from dam.api.pages import BY_NAME, PageQuerySerializer, asked_of, page_of, sent_by
from dam.api.problems import problems
from dam.api.serializers_search import (
    RecentNoteSerializer,
    RecentSearchListSerializer,
    SavedSearchPageSerializer,
    SavedSearchSerializer,
    SearchChangeSerializer,
    SearchSaveSerializer,
)
from dam.assets.selectors import Person
from dam.search.models import SavedSearch
from dam.search.saved import (
    recent_search_note,
    recent_searches,
    recent_searches_forget,
    search_delete,
    search_get,
    search_save,
    search_update,
    searches_visible_to,
)

_BODIES = (JSONParser,)


class Searches(APIView):
    """Your own, and those that others share."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="searches_list",
        summary="List saved searches",
        parameters=[PageQuerySerializer],
        responses={200: SavedSearchPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """By name."""
        user = signed_in(request)
        body = page_of(
            searches_visible_to(user).select_related("owner"),
            name="searches",
            sort=BY_NAME,
            asked=asked_of(request, PageQuerySerializer),
            to_json=lambda rows: [_search_json(user, row) for row in rows],
        )
        return Response(SavedSearchPageSerializer(body).data)

    @extend_schema(
        operation_id="searches_save",
        summary="Keep a search",
        request=SearchSaveSerializer,
        responses={
            201: OpenApiResponse(SavedSearchSerializer, description="Kept; with its `ETag`."),
            **problems(400, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Under a name of yours."""
        made = search_save(user=signed_in(request), **sent_by(request, SearchSaveSerializer))
        return _answer(request, made.pk, status=201, Location=reverse("api-search", args=[made.pk]))


class SearchDetail(APIView):
    """One saved search."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="searches_get",
        summary="Read a saved search",
        parameters=[IF_NONE_MATCH],
        responses={200: SavedSearchSerializer, **NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: Request, search_id: int) -> Response:
        """What it finds: `GET /api/v1/assets/` with its query and sort."""
        return _answer(request, search_id)

    @extend_schema(
        operation_id="searches_update",
        summary="Change a saved search",
        parameters=[IF_MATCH],
        request=SearchChangeSerializer,
        responses={200: SavedSearchSerializer, **problems(400, 403, 404, 412, 415)},
    )
    def patch(self, request: Request, search_id: int) -> Response:
        """By its owner."""
        sent, user = sent_by(request, SearchChangeSerializer), signed_in(request)
        with transaction.atomic():
            search_update(search=_held(request, user, search_id), user=user, **sent)
        return _answer(request, search_id)

    @extend_schema(
        operation_id="searches_delete",
        summary="Delete a saved search",
        parameters=[IF_MATCH],
        responses={204: None, **problems(403, 404, 412)},
    )
    def delete(self, request: Request, search_id: int) -> Response:
        """By its owner."""
        user = signed_in(request)
        with transaction.atomic():
            search_delete(search=_held(request, user, search_id), user=user)
        return Response(status=204)


class RecentSearches(APIView):
    """What you searched for lately; yours alone."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="searches_recent",
        summary="List your recent searches",
        responses={200: RecentSearchListSerializer, **problems()},
    )
    def get(self, request: Request) -> Response:
        """The newest first; only some are kept."""
        found: Any = list(recent_searches(signed_in(request)))
        return Response(RecentSearchListSerializer({"results": found}).data)

    @extend_schema(
        operation_id="searches_note",
        summary="Note a search",
        request=RecentNoteSerializer,
        responses={204: None, **problems(400, 415)},
    )
    def post(self, request: Request) -> Response:
        """As the pages do when somebody searches there."""
        recent_search_note(user=signed_in(request), **sent_by(request, RecentNoteSerializer))
        return Response(status=204)

    @extend_schema(
        operation_id="searches_forget",
        summary="Forget your recent searches",
        responses={204: None, **problems()},
    )
    def delete(self, request: Request) -> Response:
        """All of them."""
        recent_searches_forget(user=signed_in(request))
        return Response(status=204)


def _held(request: Request, user: Person, search_id: int) -> SavedSearch:
    """A search that the person knows of, locked, and as they read it."""
    search_get(user=user, search_id=search_id)
    held = SavedSearch.objects.select_for_update(of=("self",)).get(pk=search_id)
    require_match(request, _edit(held))
    return held


def _answer(request: Request, search_id: int, *, status: int = 200, **headers: str) -> Response:
    user = signed_in(request)
    search = search_get(user=user, search_id=search_id)
    body = SavedSearchSerializer(_search_json(user, search)).data
    return answer(request, body, edit=_edit(search), status=status, **headers)


def _edit(search: SavedSearch) -> str:
    return edit_hash((search.name, search.query, search.sort, search.shared))


def _search_json(user: Person, search: SavedSearch) -> dict[str, Any]:
    return {
        "id": search.pk,
        "name": search.name,
        "query": search.query,
        "sort": search.sort,
        "shared": search.shared,
        "owner": search.owner.get_username(),
        "mine": search.owner_id == user.pk,
        "updated_at": search.updated_at,
        "url": reverse("api-search", args=[search.pk]),
    }
