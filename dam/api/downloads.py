"""Downloads: a picture in some size and format, and many as a zip."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.errors import ProblemError
from dam.api.files import AnyAccept, downloadable_or_problem, version_of
from dam.api.pages import asked_of, sent_by
from dam.api.problems import problems
from dam.api.selecting import ChosenSerializer, chosen_ids
from dam.sharing.errors import CannotConvertError, ConverterBusyError
from dam.sharing.files import FORMATS, ORIGINAL, SIZES, file_of, wanted_of
from dam.sharing.orders import order_by_key, ordered_entries, zip_order
from dam.sharing.serving import NEVER_KEPT, guarded, picture_response, zip_response
from dam.sharing.zips import zip_chunks

_SIZE_HELP = f"One of {', '.join(SIZES)}, or another number of pixels for the long side; never enlarged."


class WantedSerializer(serializers.Serializer[Any]):
    """A size and a format."""

    size = serializers.CharField(default=ORIGINAL, max_length=10, help_text=_SIZE_HELP)
    format = serializers.ChoiceField(FORMATS, default=ORIGINAL)


class DownloadQuerySerializer(WantedSerializer):
    """What is wanted of one picture."""

    check = serializers.BooleanField(
        default=False, help_text="Only ask whether it may be had: 204, or the problem."
    )


class ZipCreateSerializer(WantedSerializer):
    """What is wanted as one file."""

    selection = ChosenSerializer()


class ZipSerializer(serializers.Serializer[Any]):
    """A zip that waits to be fetched."""

    url = serializers.CharField(help_text="GET it as the same person, before it expires.")
    expires_at = serializers.DateTimeField()
    files = serializers.IntegerField(help_text="Pictures that lie in it.")
    left_out = serializers.IntegerField(
        help_text="Pictures that you see and may not download; `left-out.csv` in the zip says why."
    )


class Download(APIView):
    """A picture to keep."""

    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="assets_download",
        summary="Download a picture in some size and format",
        parameters=[DownloadQuerySerializer],
        responses={
            (200, "image/*"): OpenApiTypes.BINARY,
            204: OpenApiResponse(description="You may have it (`check`)."),
            302: OpenApiResponse(description="Fetch it there, within minutes and without credentials."),
            304: OpenApiResponse(description="As you have it."),
            **problems(400, 403, 404, 422),
        },
    )
    def get(self, request: Request, asset_id: int) -> HttpResponseBase:
        """Needs the right to download; of what has expired or is under an embargo, that to manage.

        Converted pictures are upright, in sRGB and without metadata. One takes a second or two; 503 with
        `Retry-After` when many ask at once.
        """
        asked = asked_of(request, DownloadQuerySerializer)
        wanted = wanted_of(asked["size"], asked["format"])
        asset = downloadable_or_problem(request, asset_id)
        file = file_of(asset, version_of(asset), wanted)
        if asked["check"]:
            return guarded(Response(status=204), cache=NEVER_KEPT)
        try:
            return picture_response(request._request, file)  # noqa: SLF001
        except CannotConvertError as error:
            raise ProblemError(422, error.code, str(error)) from None
        except ConverterBusyError as error:
            raise ProblemError(503, "busy", str(error)) from None


class Zips(APIView):
    """Many pictures as one file."""

    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="downloads_zip",
        summary="Order a zip",
        request=ZipCreateSerializer,
        responses={
            201: OpenApiResponse(ZipSerializer, description="Fetch it at `url`, within 15 minutes."),
            **problems(400, 415),
        },
    )
    def post(self, request: Request) -> Response:
        """Say which pictures; the answer is an address from which a browser saves the zip."""
        sent = sent_by(request, ZipCreateSerializer)
        wanted = wanted_of(sent["size"], sent["format"])
        user = signed_in(request)
        ordered = zip_order(user=user, asset_ids=chosen_ids(user, sent["selection"]), wanted=wanted)
        url = reverse("api-zip", args=[ordered.order.key])
        body = {
            "url": url,
            "expires_at": ordered.order.expires_at,
            "files": ordered.files,
            "left_out": ordered.left_out,
        }
        return Response(ZipSerializer(body).data, status=201, headers={"Location": url})


class ZipFile(APIView):
    """A zip."""

    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="downloads_zip_fetch",
        summary="Fetch a zip",
        parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH)],
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **problems(404)},
    )
    def get(self, request: Request, key: str) -> HttpResponseBase:
        """Made while it is sent, so its length is not known before; it ends early only if something failed.

        `manifest.csv` in it says what each picture is.
        """
        user = signed_in(request)
        order = order_by_key(user=user, key=key)
        if order is None:
            raise Http404
        entries = ordered_entries(
            user=user, asset_ids=order.asset_ids, wanted=wanted_of(order.size, order.format)
        )
        return zip_response(zip_chunks(entries), name=f"pictures-{timezone.now():%Y-%m-%d-%H%M}.zip")
