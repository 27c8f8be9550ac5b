"""Albums, and the pictures in them."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import F
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import assets_json
from dam.api.assets import signed_in
from dam.api.etag import IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, answer, edit_hash, require_match
from dam.api.pages import BY_NAME, PageQuerySerializer, asked_of, page_of, sent_by
from dam.api.problems import problems
from dam.api.serializers import AssetListPageSerializer
from dam.api.serializers_curation import ChangedSerializer
from dam.api.serializers_organising import (
    AlbumChangeSerializer,
    AlbumCreateSerializer,
    AlbumPageSerializer,
    AlbumSerializer,
    IdsSerializer,
)
from dam.assets.albums import (
    album_add,
    album_assets,
    album_create,
    album_delete,
    album_get,
    album_remove,
    album_update,
    albums_visible_to,
    may_edit_album,
)
from dam.assets.models import Album
from dam.assets.selectors import Person, assets_visible_to
from dam.search.paging import Sort
from dam.search.selectors import loaded

_BODIES = (JSONParser,)
_AS_ADDED = Sort("As added", "place")


class Albums(APIView):
    """All that you know of."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="albums_list",
        summary="List albums",
        parameters=[PageQuerySerializer],
        responses={200: AlbumPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Your own, and those with a picture that you may see; by name."""
        user = signed_in(request)
        body = page_of(
            albums_visible_to(user),
            name="albums",
            sort=BY_NAME,
            asked=asked_of(request, PageQuerySerializer),
            to_json=lambda albums: _albums_json(user, albums),
        )
        return Response(AlbumPageSerializer(body).data)

    @extend_schema(
        operation_id="albums_create",
        summary="Make an album",
        request=AlbumCreateSerializer,
        responses={
            201: OpenApiResponse(AlbumSerializer, description="Made; with its `ETag`."),
            **problems(400, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Yours; with these pictures in it, or empty."""
        sent = sent_by(request, AlbumCreateSerializer)
        made = album_create(user=signed_in(request), asset_ids=sent.pop("assets"), **sent)
        return _answer(request, made.pk, status=201, Location=reverse("api-album", args=[made.pk]))


class AlbumDetail(APIView):
    """One album."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="albums_get",
        summary="Read an album",
        parameters=[IF_NONE_MATCH],
        responses={200: AlbumSerializer, **NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: Request, album_id: int) -> Response:
        """Its pictures are at `assets/` below it."""
        return _answer(request, album_id)

    @extend_schema(
        operation_id="albums_update",
        summary="Change an album",
        parameters=[IF_MATCH],
        request=AlbumChangeSerializer,
        responses={200: AlbumSerializer, **problems(400, 403, 404, 412, 415)},
    )
    def patch(self, request: Request, album_id: int) -> Response:
        """Name, description and cover, by its owner."""
        sent, user = sent_by(request, AlbumChangeSerializer), signed_in(request)
        if "cover" in sent:
            sent["cover_id"] = sent.pop("cover")
        with transaction.atomic():
            held = _held(request, user, album_id)
            album_update(album=held, user=user, **sent)
        return _answer(request, album_id)

    @extend_schema(
        operation_id="albums_delete",
        summary="Delete an album",
        parameters=[IF_MATCH],
        responses={204: None, **problems(403, 404, 412)},
    )
    def delete(self, request: Request, album_id: int) -> Response:
        """Its pictures stay where they are."""
        user = signed_in(request)
        with transaction.atomic():
            album_delete(album=_held(request, user, album_id), user=user)
        return Response(status=204)


class AlbumAssets(APIView):
    """The pictures of an album."""

    parser_classes = _BODIES

    @extend_schema(
        operation_id="albums_assets",
        summary="List the pictures of an album",
        parameters=[PageQuerySerializer],
        responses={200: AssetListPageSerializer, **problems(400, 404)},
    )
    def get(self, request: Request, album_id: int) -> Response:
        """Those that you may see, in the order in which they were added."""
        user = signed_in(request)
        album = album_get(user=user, album_id=album_id)
        body = page_of(
            loaded(album_assets(user=user, album=album).annotate(place=F("album_entries__pk"))),
            name=f"album {album.pk}",
            sort=_AS_ADDED,
            asked=asked_of(request, PageQuerySerializer),
            to_json=assets_json,
        )
        return Response(body)

    @extend_schema(
        operation_id="albums_add",
        summary="Put pictures into an album",
        request=IdsSerializer,
        responses={200: ChangedSerializer, **problems(400, 403, 404, 415)},
    )
    def post(self, request: Request, album_id: int) -> Response:
        """By its owner; those that are in it already stay as they are."""
        user = signed_in(request)
        album = album_get(user=user, album_id=album_id)
        sent = sent_by(request, IdsSerializer)
        return Response({"changed": album_add(album=album, asset_ids=sent["ids"], user=user)})


class AlbumAsset(APIView):
    """One picture of an album."""

    @extend_schema(
        operation_id="albums_remove",
        summary="Take a picture out of an album",
        responses={204: None, **problems(403, 404)},
    )
    def delete(self, request: Request, album_id: int, asset_id: int) -> Response:
        """By its owner; the picture stays where it lives."""
        user = signed_in(request)
        album = album_get(user=user, album_id=album_id)
        if not album_remove(album=album, asset_ids=[asset_id], user=user):
            raise Http404
        return Response(status=204)


def _held(request: Request, user: Person, album_id: int) -> Album:
    """An album that the person knows of, locked, and as they read it."""
    album_get(user=user, album_id=album_id)
    held = Album.objects.select_for_update(no_key=True, of=("self",)).get(pk=album_id)
    require_match(request, _edit(held))
    return held


def _answer(request: Request, album_id: int, *, status: int = 200, **headers: str) -> Response:
    user = signed_in(request)
    album = album_get(user=user, album_id=album_id)
    body = AlbumSerializer(_albums_json(user, [album])[0]).data
    return answer(request, body, edit=_edit(album), status=status, **headers)


def _edit(album: Album) -> str:
    return edit_hash((album.name, album.description, album.cover_id))


def _albums_json(user: Person, albums: list[Album]) -> list[dict[str, Any]]:
    chosen = {album.cover_id for album in albums if album.cover_id is not None}
    seen = (
        set(assets_visible_to(user).filter(pk__in=chosen).values_list("pk", flat=True)) if chosen else set()
    )
    return [
        {
            "id": album.pk,
            "name": album.name,
            "description": album.description,
            "owner": album.owner.get_username() if album.owner else None,
            "mine": may_edit_album(user, album),
            "cover": album.cover_id if album.cover_id in seen else None,
            "created_at": album.created_at,
            "updated_at": album.updated_at,
            "url": reverse("api-album", args=[album.pk]),
        }
        for album in albums
    ]
