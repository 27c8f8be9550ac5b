"""Assets: uploading, searching, reading, deciding."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.errors import ProblemError
from dam.api.problems import problems
from dam.api.serializers import (
    AssetPageSerializer,
    AssetSerializer,
    DecideSerializer,
    SearchQuerySerializer,
    UploadSerializer,
)
from dam.api.upload_limit import TooManyBytesError
from dam.assets.models import Asset
from dam.assets.selectors import can_change
from dam.assets.services import asset_create
from dam.search.compile import tags_named
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
        page = search_assets(
            user=signed_in(request),
            query=asked.validated_data["q"],
            sort=asked.validated_data["sort"],
            cursor=asked.validated_data["cursor"] or None,
            limit=asked.validated_data["limit"],
        )
        body = {
            "results": page.assets,
            "next": page.next_cursor,
            "previous": page.previous_cursor,
            "notices": page.notices,
        }
        return Response(AssetPageSerializer(body).data)

    @extend_schema(
        operation_id="assets_upload",
        summary="Upload a picture",
        request={"multipart/form-data": UploadSerializer},
        responses={
            201: OpenApiResponse(AssetSerializer, description="A new asset; its tagging job is queued."),
            200: OpenApiResponse(AssetSerializer, description="The asset that holds these bytes already."),
            **problems(400, 411, 413, 415, 422),
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
        upload = asset_create(
            stream=file.file,  # type: ignore[arg-type]  # a BytesIO or a temporary file
            filename=uploaded_name(file),
            user=signed_in(request),
            bulk=form.validated_data["bulk"],
        )
        body = _asset_json(request, upload.asset.pk)
        status = 201 if upload.created else 200
        return Response(body, status=status, headers={"Location": body["urls"]["self"]})


class AssetDetail(APIView):
    """One asset."""

    @extend_schema(
        operation_id="assets_get", summary="Read an asset", responses={200: AssetSerializer, **problems(404)}
    )
    def get(self, request: Request, asset_id: int) -> Response:
        """Everything that is known of it."""
        return Response(_asset_json(request, asset_id))


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
        tag = _tag_for(form.validated_data["tag"], may_be_new=verdict == Decision.Verdict.ADDED)
        decision_make(asset=asset, tag=tag, verdict=verdict, user=signed_in(request))
        return Response(_asset_json(request, asset_id))


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
        decision_withdraw(asset=asset, tag=tag)
        return Response(_asset_json(request, asset_id))


def _asset_json(request: Request, asset_id: int) -> Any:
    return AssetSerializer(asset_get(user=signed_in(request), asset_id=asset_id)).data


def _changeable(request: Request, asset_id: int) -> Asset:
    """Raises Asset.DoesNotExist, or PermissionDenied for an asset that the user may only see."""
    asset = asset_get(user=signed_in(request), asset_id=asset_id)
    if not can_change(request.user, asset):
        raise PermissionDenied("Only its uploader and staff decide on the tags of an asset.")
    return asset


def _tag_for(text: str, *, may_be_new: bool) -> Tag:
    ids = tags_named(text)
    if ids:
        return Tag.objects.get(pk=ids[0])
    if not may_be_new:
        raise ProblemError(400, "unknown-tag", f"There is no tag “{text}”.")
    try:
        return tag_get_or_create(name=text)[0]
    except ValueError as error:
        raise ProblemError(400, "bad-tag", f"{error}.".capitalize()) from None
