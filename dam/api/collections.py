"""The tree of collections: reading, making, changing, moving, deleting."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import collection_named, signed_in
from dam.api.etag import IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, answer, edit_hash, require_match
from dam.api.pages import asked_of, sent_by
from dam.api.problems import problems
from dam.api.serializers_organising import (
    CollectionChangeSerializer,
    CollectionCreateSerializer,
    CollectionDetailSerializer,
    CollectionMoveSerializer,
    CollectionPageQuerySerializer,
    CollectionPageSerializer,
    level_word,
)
from dam.assets.collections import (
    collection_create,
    collection_delete,
    collection_move,
    collection_update,
    tree_hold,
)
from dam.assets.models import Collection
from dam.assets.selectors import Person, assets_visible_to, levels_in
from dam.assets.tree import TreeNode, collection_get, collection_path, collection_tree, tree_flat
from dam.search.paging import Edge, cursor_read, cursor_write

_LIST = "collections"
_BODIES = (JSONParser,)


class Collections(APIView):
    """The tree."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="collections_list",
        summary="Read the tree of collections",
        parameters=[CollectionPageQuerySerializer],
        responses={200: CollectionPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Those that you see, in the order of the tree: each before those below it."""
        asked, user = asked_of(request, CollectionPageQuerySerializer), signed_in(request)
        nodes = tree_flat(collection_tree(user=user, counts=asked["counts"]))
        part, following, before = _part(nodes, asked["cursor"], asked["limit"])
        covers = _visible_covers(user, [node.collection for node in part])
        parents = _parents(nodes)
        body = {
            "results": [
                _fields(node.collection, covers)
                | {
                    "parent": parents.get(node.collection.pk),
                    "depth": node.depth,
                    "level": level_word(node.level),
                    "count": _count(node.count),
                    "total": _count(node.total),
                }
                for node in part
            ],
            "next": following,
            "previous": before,
        }
        return Response(CollectionPageSerializer(body).data)

    @extend_schema(
        operation_id="collections_create",
        summary="Make a collection",
        request=CollectionCreateSerializer,
        responses={
            201: OpenApiResponse(CollectionDetailSerializer, description="Made; with its `ETag`."),
            **problems(400, 403, 404, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Below one that you curate; it has the grants of that one."""
        sent, user = sent_by(request, CollectionCreateSerializer), signed_in(request)
        if "parent" in sent:
            sent["parent"] = collection_named(user, sent["parent"], field="parent")
        made = collection_create(user=user, **sent)
        place = reverse("api-collection", args=[made.pk])
        return _answer(request, made.pk, status=201, Location=place)


class CollectionDetail(APIView):
    """One collection."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="collections_get",
        summary="Read a collection",
        parameters=[IF_NONE_MATCH],
        responses={200: CollectionDetailSerializer, **NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: Request, collection_id: int) -> Response:
        """With the way that leads to it."""
        return _answer(request, collection_id)

    @extend_schema(
        operation_id="collections_update",
        summary="Change a collection",
        parameters=[IF_MATCH],
        request=CollectionChangeSerializer,
        responses={200: CollectionDetailSerializer, **problems(400, 403, 404, 412, 415)},
    )
    def patch(self, request: Request, collection_id: int) -> Response:
        """Name, description, cover and default licence, by who curates it."""
        sent, user = sent_by(request, CollectionChangeSerializer), signed_in(request)
        if "cover" in sent:
            sent["cover_id"] = sent.pop("cover")
        with tree_hold():
            held = collection_get(user=user, collection_id=collection_id)
            require_match(request, _edit(held))
            collection_update(collection=held, user=user, **sent)
        return _answer(request, collection_id)

    @extend_schema(
        operation_id="collections_delete",
        summary="Delete an empty collection",
        parameters=[IF_MATCH],
        responses={204: None, **problems(400, 403, 404, 412)},
    )
    def delete(self, request: Request, collection_id: int) -> Response:
        """By who manages it; 400 `not-empty` while anything lies in it."""
        user = signed_in(request)
        with tree_hold():
            held = collection_get(user=user, collection_id=collection_id)
            require_match(request, _edit(held))
            collection_delete(collection=held, user=user)
        return Response(status=204)


class CollectionMove(APIView):
    """Another place in the tree."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="collections_move",
        summary="Move a collection with all below it",
        parameters=[IF_MATCH],
        request=CollectionMoveSerializer,
        responses={200: CollectionDetailSerializer, **problems(400, 403, 404, 412, 415)},
    )
    def post(self, request: Request, collection_id: int) -> Response:
        """By who manages both places; from then on the grants of the new place hold."""
        sent, user = sent_by(request, CollectionMoveSerializer), signed_in(request)
        with tree_hold():
            held = collection_get(user=user, collection_id=collection_id)
            require_match(request, _edit(held))
            parent = collection_named(user, sent["parent"], field="parent")
            collection_move(collection=held, parent=parent, user=user)
        return _answer(request, collection_id)


def _answer(request: Request, collection_id: int, *, status: int = 200, **headers: str) -> Response:
    user = signed_in(request)
    # Of one moment, so that the ETag stands for what is read.
    with transaction.atomic():
        collection = collection_get(user=user, collection_id=collection_id)
        way = collection_path(user=user, collection=collection)
        covers = _visible_covers(user, [collection])
        level = levels_in(user, [collection.pk])[collection.pk]
    above = [each for each in way if each.pk != collection.pk]
    body = _fields(collection, covers) | {
        "parent": above[-1].pk if above else None,
        "depth": len(above),
        "level": level_word(level),
        "created_at": collection.created_at,
        "path": [{"id": each.pk, "name": each.name} for each in way],
    }
    shown = CollectionDetailSerializer(body).data
    return answer(request, shown, edit=_edit(collection), status=status, **headers)


def _edit(collection: Collection) -> str:
    """Stands for what people edit; its place in the tree is its path without its own last step."""
    place = collection.path[: -Collection.steplen]
    return edit_hash(
        (collection.name, collection.description, collection.default_licence, collection.cover_id, place)
    )


def _fields(collection: Collection, covers: set[int]) -> dict[str, Any]:
    return {
        "id": collection.pk,
        "name": collection.name,
        "description": collection.description,
        "default_licence": collection.default_licence,
        "cover": collection.cover_id if collection.cover_id in covers else None,
        "url": reverse("api-collection", args=[collection.pk]),
    }


def _visible_covers(user: Person, collections: list[Collection]) -> set[int]:
    chosen = {each.cover_id for each in collections if each.cover_id is not None}
    return (
        set(assets_visible_to(user).filter(pk__in=chosen).values_list("pk", flat=True)) if chosen else set()
    )


def _parents(nodes: list[TreeNode]) -> dict[int, int]:
    return {child.collection.pk: node.collection.pk for node in nodes for child in node.children}


def _count(number: int | None) -> dict[str, Any] | None:
    return None if number is None else {"value": number, "exact": True, "estimated": False}


def _part(nodes: list[TreeNode], cursor: str, limit: int) -> tuple[list[TreeNode], str | None, str | None]:
    """Some nodes of the tree, and the cursors of the parts beside them.

    A cursor names a collection; where that is gone meanwhile, the list begins anew.
    """
    start = 0
    if cursor:
        edge = cursor_read(_LIST, cursor)
        places = {node.collection.pk: place for place, node in enumerate(nodes)}
        start = places.get(edge.pk, 0)
        if edge.backwards:
            start = max(0, start - limit)
    end = start + limit
    following = Edge(None, nodes[end].collection.pk) if end < len(nodes) else None
    before = Edge(None, nodes[start].collection.pk, backwards=True) if start else None
    return nodes[start:end], cursor_write(_LIST, following), cursor_write(_LIST, before)
