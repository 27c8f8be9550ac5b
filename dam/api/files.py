"""The bytes of pictures: originals to keep, renditions to show.

An object store hands out downloads itself, at an address that is signed for a few minutes. What pages show
comes from here all the same: their policy lets pictures come from nowhere else, and an address that changes
would defeat the browser's cache.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from django.http import FileResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from dam.api.assets import signed_in
from dam.api.errors import ProblemError
from dam.api.problems import problems
from dam.assets.addresses import RENDITIONS, rendition_stamp
from dam.assets.models import AssetVersion
from dam.assets.storage import blob_store
from dam.search.selectors import asset_get
from pipeline.ports import BlobMissingError
from pipeline.preprocess import PictureFormat

_SAFE_TYPES = {picture_format.media_type for picture_format in PictureFormat}
_FOR_EVER = "private, max-age=31536000, immutable"
_ASK_AGAIN = "private, no-cache"
_NEVER_KEPT = "private, no-store"


class _AnyAccept(BaseContentNegotiation):
    """A browser that asks for ``image/*`` gets the picture, or else the problem in JSON."""

    def select_parser(self, _request: Any, parsers: Any) -> Any:
        return parsers[0] if parsers else None

    def select_renderer(self, _request: Any, renderers: Any, _format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


_RESPONSES: dict[Any, Any] = {
    (200, "image/*"): OpenApiTypes.BINARY,
    304: OpenApiResponse(description="As the browser has it."),
    **problems(404),
}


class Original(APIView):
    """The bytes as they were uploaded."""

    content_negotiation_class = _AnyAccept

    @extend_schema(
        operation_id="assets_file",
        summary="Download the original",
        parameters=[OpenApiParameter("inline", bool, description="To be looked at, not saved.")],
        responses={
            **_RESPONSES,
            302: OpenApiResponse(description="Fetch it there, within minutes and without credentials."),
        },
    )
    def get(self, request: Request, asset_id: int) -> HttpResponseBase:
        """Under the name that it was uploaded with; as an attachment unless ``inline`` is asked for.

        Where originals lie in an object store, an attachment is answered with an address there.
        """
        version = _version(request, asset_id)
        blob = version.blob
        attachment = request.query_params.get("inline", "") not in {"1", "true"}
        # An address is signed for fetching, so a question for the headers alone is answered here.
        if attachment and request.method == "GET" and (elsewhere := _elsewhere(version)):
            return elsewhere
        return _file(
            request,
            key=blob.key,
            media_type=blob.media_type,
            name=version.filename,
            etag=f'"{blob.sha256}"',
            cache=_ASK_AGAIN,
            attachment=attachment,
        )


class Rendition(APIView):
    """A derived size, as a worker made it."""

    content_negotiation_class = _AnyAccept

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
        version = _version(request, asset_id)
        rendition = version.renditions.get(name)
        if rendition is None:
            raise ProblemError(404, "no-rendition", "No worker has made this yet.")
        stamp = rendition_stamp(version)
        return _file(
            request,
            key=rendition["key"],
            media_type=rendition["media_type"],
            name=f"{PurePosixPath(version.filename).stem}-{name}{PurePosixPath(rendition['key']).suffix}",
            etag=f'"{stamp}-{name}-{rendition["width"]}x{rendition["height"]}"',
            cache=_FOR_EVER if request.query_params.get("v") == stamp else _ASK_AGAIN,
            attachment=False,
        )


def _version(request: Request, asset_id: int) -> AssetVersion:
    version = asset_get(user=signed_in(request), asset_id=asset_id).current_version
    if version is None:
        raise ProblemError(404, "no-file", "This asset has no file.")
    return version


def _elsewhere(version: AssetVersion) -> HttpResponseBase | None:
    """To where the store hands out the original, for a caller who may have it; None if it does not."""
    blob, store = version.blob, blob_store()
    address = store.download_address(
        blob.key, filename=version.filename, media_type=_safe_type(blob.media_type)
    )
    if address is None:
        return None
    # Otherwise people would read the store's own words about a lost file or an outage.
    if not store.exists(blob.key):
        raise BlobMissingError(blob.key)
    return _guarded(HttpResponseRedirect(address), cache=_NEVER_KEPT)


def _file(  # noqa: PLR0913  # one for each header
    request: Request, *, key: str, media_type: str, name: str, etag: str, cache: str, attachment: bool
) -> HttpResponseBase:
    # A conditional answer needs no bytes, so the blob store is not asked.
    response: HttpResponseBase | None = get_conditional_response(request._request, etag=etag)  # noqa: SLF001
    if response is None:
        response = FileResponse(
            blob_store().open(key),
            as_attachment=attachment,
            filename=name,
            content_type=_safe_type(media_type),
        )
    response.headers["ETag"] = etag
    return _guarded(response, cache=cache)


def _safe_type(media_type: str) -> str:
    """Nothing that a browser would run, whatever the catalogue believes of it."""
    return media_type if media_type in _SAFE_TYPES else "application/octet-stream"


def _guarded(response: HttpResponseBase, *, cache: str) -> HttpResponseBase:
    response.headers["Cache-Control"] = cache
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
