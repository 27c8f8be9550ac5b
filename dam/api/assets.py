"""Assets: uploading, searching, reading, deciding."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.asset_json import asset_json, assets_json
from dam.api.errors import ProblemError
from dam.api.etag import IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, answer, edit_hash, require_match
from dam.api.pages import sent_by
from dam.api.problems import problems
from dam.api.serializers import (
    AssetChangeSerializer,
    AssetPageSerializer,
    AssetSerializer,
    DecideSerializer,
    SearchQuerySerializer,
    UploadSerializer,
)
from dam.api.upload_limit import TooManyBytesError
from dam.assets.editing import EDITABLE, asset_update, assets_move
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset, Collection
from dam.assets.selectors import assets_visible_to, can_change
from dam.assets.services import asset_create
from dam.assets.trash import assets_trash
from dam.assets.tree import collection_get
from dam.search.compile import tags_named
from dam.search.reasons import reasons_for
from dam.search.selectors import asset_get, search_assets
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make, decision_withdraw, tag_get_or_create
from dam.telemetry.metrics import UPLOADS


def signed_in(request: Request) -> User:
    """Whose request it is, in a view that nobody else reaches."""
    assert isinstance(request.user, User)
    return request.user


def uploaded_name(file: UploadedFile[Any]) -> str:
    """The name as the person sees it.

    Browsers write quotes and line breaks in a form's file name as %22, %0D and %0A (HTML, 4.10.21.8).
    """
    return (file.name or "").replace("%22", '"').replace("%0D", " ").replace("%0A", " ")


class Assets(APIView):
    """The collection of all assets."""

    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="assets_search",
        summary="Search assets",
        parameters=[SearchQuerySerializer],
        responses={200: AssetPageSerializer, **problems(400)},
    )
    def get(self, request: Request) -> Response:
        """One page of what the query finds."""
        asked = SearchQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        user = signed_in(request)
        page = search_assets(
            user=user,
            query=asked.validated_data["q"],
            sort=asked.validated_data["sort"],
            cursor=asked.validated_data["cursor"] or None,
            limit=asked.validated_data["limit"],
        )
        reasons = reasons_for(reading=page.reading, assets=page.assets)
        matched = {pk: [reason.in_json() for reason in found] for pk, found in reasons.items()}
        return Response(
            {
                "results": assets_json(page.assets, matched=matched),
                "next": page.next_cursor,
                "previous": page.previous_cursor,
                "notices": page.notices,
            }
        )

    @extend_schema(
        operation_id="assets_upload",
        summary="Upload a picture",
        request={"multipart/form-data": UploadSerializer},
        responses={
            201: OpenApiResponse(AssetSerializer, description="A new asset; its tagging job is queued."),
            200: OpenApiResponse(AssetSerializer, description="The asset that holds these bytes already."),
            **problems(400, 403, 411, 413, 415, 422),
        },
    )
    def post(self, request: Request) -> Response:
        """Catalogue one picture."""
        try:
            sent = request.data
        except TooManyBytesError:
            UPLOADS.labels("refused").inc()
            raise
        form = UploadSerializer(data=sent)
        form.is_valid(raise_exception=True)
        file: UploadedFile[Any] = form.validated_data["file"]
        user = signed_in(request)
        wanted = form.validated_data.get("collection")
        place = None if wanted is None else collection_named(user, wanted, field="collection")
        upload = asset_create(
            stream=file.file,  # type: ignore[arg-type]  # a BytesIO or a temporary file
            filename=uploaded_name(file),
            user=user,
            bulk=form.validated_data["bulk"],
            collection=place,
        )
        status = 201 if upload.created else 200
        where = reverse("api-asset", args=[upload.asset.pk])
        return asset_answer(request, upload.asset.pk, status=status, Location=where)


class AssetDetail(APIView):
    """One asset."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="assets_get",
        summary="Read an asset",
        parameters=[IF_NONE_MATCH],
        responses={200: AssetSerializer, **NOT_MODIFIED, **problems(404)},
    )
    def get(self, request: Request, asset_id: int) -> Response:
        """Everything that is known of it."""
        return asset_answer(request, asset_id)

    @extend_schema(
        operation_id="assets_update",
        summary="Edit an asset",
        parameters=[IF_MATCH],
        request=AssetChangeSerializer,
        responses={
            200: AssetSerializer,
            204: OpenApiResponse(description="Done; it lies now where you do not see it."),
            **problems(400, 403, 404, 412, 415),
        },
    )
    def patch(self, request: Request, asset_id: int) -> Response:
        """Texts, rights and collection, by its uploader and who curates there. What is left out stays."""
        sent, user = sent_by(request, AssetChangeSerializer), signed_in(request)
        wanted = sent.pop("collection", None)
        place = None if wanted is None else collection_named(user, wanted, field="collection")
        with transaction.atomic():
            if place is not None:
                # Before the asset, as whoever moves one locks them.
                Collection.objects.select_for_update(no_key=True, of=("self",)).get(pk=place.pk)
            asset = _held(request, asset_id)
            if sent:
                asset_update(asset=asset, user=user, **sent)
            if place is not None:
                assets_move(asset_ids=[asset.pk], collection=place, user=user)
            # Who moves it to where they see nothing gets the answer all the same.
            visible = assets_visible_to(user).filter(pk=asset.pk).exists()
        return asset_answer(request, asset_id) if visible else Response(status=204)

    @extend_schema(
        operation_id="assets_trash",
        summary="Put an asset into the trash",
        parameters=[IF_MATCH],
        responses={204: None, **problems(403, 404, 412)},
    )
    def delete(self, request: Request, asset_id: int) -> Response:
        """By its uploader and who curates there; `/api/v1/trash/restore/` is the way back."""
        with transaction.atomic():
            asset = _held(request, asset_id)
            assets_trash(asset_ids=[asset.pk], user=signed_in(request))
        return Response(status=204)


class Decisions(APIView):
    """What people say about the tags of an asset."""

    parser_classes = (JSONParser, FormParser, MultiPartParser)

    @extend_schema(
        operation_id="decisions_make",
        summary="Accept, reject or add a tag",
        request=DecideSerializer,
        responses={200: AssetSerializer, **problems(400, 403, 404, 415)},
    )
    def post(self, request: Request, asset_id: int) -> Response:
        """Record it; the newest word of people counts, and no model overrides it."""
        asset = _changeable(request, asset_id)
        form = DecideSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        verdict = Decision.Verdict(form.validated_data["verdict"])
        tag = tag_for(
            form.validated_data["tag"], may_be_new=verdict == Decision.Verdict.ADDED, user=signed_in(request)
        )
        decision_make(asset=asset, tag=tag, verdict=verdict, user=signed_in(request))
        return asset_answer(request, asset_id)


class DecisionDetail(APIView):
    """What was said about one tag of an asset."""

    @extend_schema(
        operation_id="decisions_withdraw",
        summary="Withdraw a decision",
        responses={200: AssetSerializer, **problems(403, 404)},
    )
    def delete(self, request: Request, asset_id: int, slug: str) -> Response:
        """The model's word counts again; nothing happens if nothing was said."""
        asset = _changeable(request, asset_id)
        tag = Tag.objects.filter(slug=slug).first()
        if tag is None:
            raise Http404
        decision_withdraw(asset=asset, tag=tag, user=signed_in(request))
        return asset_answer(request, asset_id)


def asset_answer(request: Request, asset_id: int, *, status: int = 200, **headers: str) -> Response:
    """One asset with its ETag.

    Raises:
        Asset.DoesNotExist: there is none, or the person may not see it.
    """
    asset = asset_get(user=signed_in(request), asset_id=asset_id)
    return answer(request, asset_json(asset), edit=_edit(asset), status=status, **headers)


def _edit(asset: Asset) -> str:
    return edit_hash([*(getattr(asset, field) for field in EDITABLE), asset.collection_id])


def _held(request: Request, asset_id: int) -> Asset:
    """An asset that the person sees, locked, and as they read it.

    Raises:
        Asset.DoesNotExist: there is none, or they may not see it.
    """
    visible = assets_visible_to(signed_in(request))
    held = visible.select_for_update(no_key=True, of=("self",)).defer("words").get(pk=asset_id)
    require_match(request, _edit(held))
    return held


def collection_named(user: User, collection_id: int, *, field: str) -> Collection:
    """The collection that a body names in that field.

    Raises:
        InvalidChangeError: there is none, or the person may not see it.
    """
    try:
        return collection_get(user=user, collection_id=collection_id)
    except Collection.DoesNotExist:
        raise InvalidChangeError(
            f"There is no collection {collection_id}, or you may not see it.",
            field=field,
            code="unknown-collection",
        ) from None


def _changeable(request: Request, asset_id: int) -> Asset:
    """Raises Asset.DoesNotExist, or PermissionDenied for an asset that the user may only see."""
    asset = asset_get(user=signed_in(request), asset_id=asset_id)
    if not can_change(request.user, asset):
        raise PermissionDenied("Only its uploader and who curates its collection decide on its tags.")
    return asset


def tag_for(text: str, *, may_be_new: bool, user: User) -> Tag:
    """The tag of that slug, name or synonym, or a new one.

    Raises:
        ProblemError: 400; there is none, or nothing can be called that.
    """
    ids = tags_named(text)
    if ids:
        return Tag.objects.get(pk=ids[0])
    if not may_be_new:
        raise ProblemError(400, "unknown-tag", f"There is no tag “{text}”.")
    try:
        return tag_get_or_create(name=text, user=user)[0]
    except ValueError as error:
        raise ProblemError(400, "bad-tag", f"{error}.".capitalize()) from None
