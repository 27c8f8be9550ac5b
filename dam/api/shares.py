"""Links for people without an account."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.etag import IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, answer, edit_hash, require_match
from dam.api.pages import NEWEST, IdField, PageQuerySerializer, asked_of, page_of, sent_by
from dam.api.problems import problems
from dam.api.selecting import ChosenSerializer, chosen_ids
from dam.api.serializers import RefSerializer
from dam.assets.albums import albums_visible_to
from dam.assets.errors import InvalidChangeError
from dam.assets.selectors import collections_with
from dam.sharing.facts import FIELDS
from dam.sharing.models import Share
from dam.sharing.selectors import ShareState, can_edit, place_names, shares_visible_to, state_of
from dam.sharing.services import share_create, share_revoke, share_update


class ShareEditSerializer(serializers.Serializer[Any]):
    """What of a link can be changed."""

    title = serializers.CharField(required=False, allow_blank=True, max_length=200)
    message = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    password = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=128,
        trim_whitespace=False,
        write_only=True,
        help_text="Six characters at least; empty: none is asked for.",
    )
    may_download = serializers.BooleanField(required=False, help_text="Originals included.")
    fields_ = serializers.MultipleChoiceField(choices=list(FIELDS), required=False)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Null: until it is revoked."
    )

    def get_fields(self) -> dict[str, Any]:
        """With ``fields`` under its own name, which Python's class has for something else."""
        found = super().get_fields()
        return {name.rstrip("_"): field for name, field in found.items()}


class ShareCreateSerializer(ShareEditSerializer):
    """A new link: to a selection, or to a collection with what lies below it, or to an album."""

    selection = ChosenSerializer(required=False)
    collection = IdField(required=False)
    album = IdField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """To one thing."""
        if len({"selection", "collection", "album"} & attrs.keys()) != 1:
            raise serializers.ValidationError("Give a selection, or a collection, or an album.")
        return attrs


class ShareSerializer(serializers.Serializer[Any]):
    """A link."""

    id = serializers.IntegerField()
    url = serializers.CharField(help_text="What to send to people. Whoever has it sees the pictures.")
    kind = serializers.ChoiceField(Share.Kind.choices)
    collection = RefSerializer(allow_null=True, help_text="Null, too, if you do not see it any more.")
    album = RefSerializer(allow_null=True)
    title = serializers.CharField()
    message = serializers.CharField()
    has_password = serializers.BooleanField()
    may_download = serializers.BooleanField()
    fields_ = serializers.ListField(child=serializers.ChoiceField(list(FIELDS)))
    expires_at = serializers.DateTimeField(allow_null=True)
    state = serializers.ChoiceField([state.value for state in ShareState])
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    uses = serializers.IntegerField(help_text="How often it was opened.")
    may_edit = serializers.BooleanField(help_text="Who may not, but sees it here, may revoke it.")

    def get_fields(self) -> dict[str, Any]:
        """See :meth:`ShareEditSerializer.get_fields`."""
        found = super().get_fields()
        return {name.rstrip("_"): field for name, field in found.items()}


class SharePageSerializer(serializers.Serializer[Any]):
    """A page of links, the newest first."""

    results = ShareSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


class Shares(APIView):
    """Links that you made; and those to collections that you manage."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="shares_list",
        summary="List links",
        parameters=[PageQuerySerializer],
        responses={200: SharePageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """Those that have ended, too."""
        body = page_of(
            shares_visible_to(signed_in(request)),
            name="shares",
            sort=NEWEST,
            asked=asked_of(request, PageQuerySerializer),
            to_json=lambda shares: _all_json(request, shares),
        )
        return Response(body)

    @extend_schema(
        operation_id="shares_create",
        summary="Make a link",
        request=ShareCreateSerializer,
        responses={
            201: OpenApiResponse(ShareSerializer, description="Made; with its `ETag`."),
            **problems(400, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """It shows, when it is opened, what you may see then and what may be used."""
        sent = sent_by(request, ShareCreateSerializer)
        user = signed_in(request)
        share = share_create(user=user, **_content(user, sent), **sent)
        location = reverse("api-share", args=[share.pk])
        return answer(request, _json(request, share), edit=_edit(share), status=201, Location=location)


class ShareDetail(APIView):
    """A link."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="shares_get",
        summary="Read a link",
        parameters=[IF_NONE_MATCH],
        responses={200: ShareSerializer, **NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: Request, share_id: int) -> Response:
        """With its `ETag`."""
        share = _share(request, share_id)
        return answer(request, _json(request, share), edit=_edit(share))

    @extend_schema(
        operation_id="shares_edit",
        summary="Change a link",
        parameters=[IF_MATCH],
        request=ShareEditSerializer,
        responses={200: ShareSerializer, **problems(400, 403, 404, 412, 415)},
    )
    @transaction.atomic
    def patch(self, request: Request, share_id: int) -> Response:
        """Who holds it notices at once. With a new password, everybody has to give that."""
        sent = sent_by(request, ShareEditSerializer, partial=True)
        share = _share(request, share_id, lock=True)
        require_match(request, _edit(share))
        share = share_update(share=share, user=signed_in(request), **sent)
        return answer(request, _json(request, share), edit=_edit(share))

    @extend_schema(
        operation_id="shares_revoke",
        summary="Revoke a link",
        responses={204: OpenApiResponse(description="It opens nothing any more."), **problems(404)},
    )
    def delete(self, request: Request, share_id: int) -> Response:
        """For ever. It stays in the list."""
        share_revoke(share=_share(request, share_id), user=signed_in(request))
        return Response(status=204)


def _share(request: Request, share_id: int, *, lock: bool = False) -> Share:
    found = shares_visible_to(signed_in(request))
    if lock:
        found = found.select_for_update(of=("self",))
    share = found.filter(pk=share_id).first()
    if share is None:
        raise Http404
    return share


def _content(user: User, sent: dict[str, Any]) -> dict[str, Any]:
    """What it leads to, taken out of what was sent."""
    chosen, collection, album = (sent.pop(name, None) for name in ("selection", "collection", "album"))
    if chosen is not None:
        ids = chosen_ids(user, chosen)
        if len(ids) < len(set(chosen.get("ids", ()))):
            raise InvalidChangeError(
                "One of these pictures does not exist, or you may not see it.", field="selection"
            )
        return {"kind": Share.Kind.PICTURES, "asset_ids": ids}
    if collection is not None:
        found = collections_with(user).filter(pk=collection).first()
        return {"kind": Share.Kind.COLLECTION, "collection": found}
    return {"kind": Share.Kind.ALBUM, "album": albums_visible_to(user).filter(pk=album).first()}


def _json(request: Request, share: Share) -> dict[str, Any]:
    return _all_json(request, [share])[0]


def _all_json(request: Request, shares: list[Share]) -> list[dict[str, Any]]:
    names = place_names(signed_in(request), shares)
    return [_one_json(request, share, names[share.pk]) for share in shares]


def _one_json(request: Request, share: Share, place: str) -> dict[str, Any]:
    return {
        "id": share.pk,
        "url": request.build_absolute_uri(reverse("share-open", args=[share.key])),
        "kind": share.kind,
        "collection": _ref(share.collection_id, place),
        "album": _ref(share.album_id, place),
        "title": share.title,
        "message": share.message,
        "has_password": bool(share.password),
        "may_download": share.may_download,
        "fields": share.fields,
        "expires_at": share.expires_at,
        "state": state_of(share).value,
        "created_by": share.created_by.get_username(),
        "created_at": share.created_at,
        "revoked_at": share.revoked_at,
        "last_used_at": share.last_used_at,
        "uses": share.uses,
        "may_edit": can_edit(signed_in(request), share),
    }


def _ref(pk: int | None, name: str) -> dict[str, Any] | None:
    return {"id": pk, "name": name} if pk is not None and name else None


def _edit(share: Share) -> str:
    """Of what people edit. A hash of a password is no secret here: who reads the ETag may change it."""
    ends = share.expires_at.isoformat() if share.expires_at else None
    return edit_hash(
        [share.title, share.message, share.password, share.may_download, sorted(share.fields), ends]
    )
