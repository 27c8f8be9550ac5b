"""The bytes of pictures: originals to keep, renditions to show.

An object store hands out downloads itself, at an address that is signed for a few minutes. What pages show
comes from here all the same: their policy lets pictures come from nowhere else, and an address that changes
would defeat the browser's cache.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.errors import ProblemError
from dam.api.problems import problems
from dam.assets.addresses import RENDITIONS, rendition_stamp
from dam.assets.models import Asset, AssetVersion
from dam.assets.storage import blob_store
from dam.search.selectors import asset_get
from dam.sharing.errors import NotDownloadableError
from dam.sharing.files import Wanted, downloadable, file_of
from dam.sharing.serving import ASK_AGAIN, file_response, picture_response

_FOR_EVER = "private, max-age=31536000, immutable"


class AnyAccept(BaseContentNegotiation):
    """A browser that asks for ``image/*`` gets the picture, or else the problem in JSON."""

    def select_parser(self, _request: Any, parsers: Any) -> Any:
        """See the framework's."""
        return parsers[0] if parsers else None

    def select_renderer(self, _request: Any, renderers: Any, _format_suffix: str | None = None) -> Any:
        """See the framework's."""
        return renderers[0], renderers[0].media_type


_RESPONSES: dict[Any, Any] = {
    (200, "image/*"): OpenApiTypes.BINARY,
    304: OpenApiResponse(description="As the browser has it."),
    **problems(404),
}


class Original(APIView):
    """The bytes as they were uploaded."""

    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="assets_file",
        summary="Download the original",
        parameters=[OpenApiParameter("inline", bool, description="To be looked at, not saved.")],
        responses={
            **_RESPONSES,
            **problems(403, 404),
            302: OpenApiResponse(description="Fetch it there, within minutes and without credentials."),
        },
    )
    def get(self, request: Request, asset_id: int) -> HttpResponseBase:
        """Under the name that it was uploaded with; as an attachment unless ``inline`` is asked for.

        Needs the right to download originals; of what has expired or is under an embargo, that to manage.

        Where originals lie in an object store, an attachment is answered with an address there.
        """
        asset = downloadable_or_problem(request, asset_id)
        attachment = request.query_params.get("inline", "") not in {"1", "true"}
        return picture_response(
            request._request,  # noqa: SLF001
            file_of(asset, version_of(asset), Wanted()),
            attachment=attachment,
        )


class Rendition(APIView):
    """A derived size, as a worker made it."""

    content_negotiation_class = AnyAccept

    @extend_schema(
        operation_id="assets_rendition",
        summary="Show a rendition",
        parameters=[
            OpenApiParameter("name", str, OpenApiParameter.PATH, enum=list(RENDITIONS)),
            OpenApiParameter("v", str, description="As in an asset's `urls`: then it may be kept for ever."),
        ],
        responses=_RESPONSES,
    )
    def get(self, request: Request, asset_id: int, name: str) -> HttpResponseBase:
        """Grid (fits rows of a page) or preview (long side 1,600 pixels at most)."""
        version = version_of(asset_get(user=signed_in(request), asset_id=asset_id))
        rendition = version.renditions.get(name)
        if rendition is None:
            raise ProblemError(404, "no-rendition", "No worker has made this yet.")
        stamp = rendition_stamp(version)
        return file_response(
            request._request,  # noqa: SLF001
            lambda: blob_store().open(rendition["key"]),
            media_type=rendition["media_type"],
            name=f"{PurePosixPath(version.filename).stem}-{name}{PurePosixPath(rendition['key']).suffix}",
            etag=f'"{stamp}-{name}-{rendition["width"]}x{rendition["height"]}"',
            cache=_FOR_EVER if request.query_params.get("v") == stamp else ASK_AGAIN,
            attachment=False,
        )


def downloadable_or_problem(request: Request, asset_id: int) -> Asset:
    """An asset whose file the caller may have.

    Raises:
        Asset.DoesNotExist: there is none, or they may not see it.
        ProblemError: 403; they may see it alone.
    """
    try:
        return downloadable(user=signed_in(request), asset_id=asset_id)
    except NotDownloadableError as error:
        raise ProblemError(403, error.code, str(error)) from None


def version_of(asset: Asset) -> AssetVersion:
    """The current one.

    Raises:
        ProblemError: 404; there is none.
    """
    if asset.current_version is None:
        raise ProblemError(404, "no-file", "This asset has no file.")
    return asset.current_version
