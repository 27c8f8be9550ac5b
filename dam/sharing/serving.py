"""Files as answers: what the API and the pages of links have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header

from dam.assets.storage import blob_store
from dam.sharing.files import PictureFile
from pipeline.ports import BlobMissingError
from pipeline.preprocess import PictureFormat

ASK_AGAIN = "private, no-cache"
"""May be kept, and shown after we said that it still holds."""
NEVER_KEPT = "private, no-store"

_SAFE_TYPES = {picture_format.media_type for picture_format in PictureFormat}


def picture_response(request: HttpRequest, file: PictureFile, *, attachment: bool = True) -> HttpResponseBase:
    """A picture to keep, or with ``attachment=False`` to look at.

    Where it lies in an object store as it is, an attachment is answered with an address there.

    Raises:
        BlobMissingError, DependencyDownError, CannotConvertError, ConverterBusyError
    """
    # An address is signed for fetching, so a question for the headers alone is answered here.
    if attachment and file.key and request.method == "GET":
        elsewhere = blob_store().download_address(
            file.key, filename=file.name, media_type=safe_type(file.media_type)
        )
        if elsewhere is not None:
            # Otherwise people would read the store's own words about a lost file or an outage.
            if not blob_store().exists(file.key):
                raise BlobMissingError(file.key)
            return guarded(HttpResponseRedirect(elsewhere), cache=NEVER_KEPT)
    return file_response(
        request,
        file.open,
        media_type=file.media_type,
        name=file.name,
        etag=file.etag,
        cache=ASK_AGAIN,
        attachment=attachment,
    )


def file_response(  # noqa: PLR0913  # one for each header
    request: HttpRequest,
    opener: Callable[[], BinaryIO],
    *,
    media_type: str,
    name: str,
    etag: str,
    cache: str,
    attachment: bool,
) -> HttpResponseBase:
    """A file; 304 to who has it already, without opening it."""
    response: Any = get_conditional_response(request, etag=etag)
    if response is None:
        response = FileResponse(
            opener(), as_attachment=attachment, filename=name, content_type=safe_type(media_type)
        )
    response.headers["ETag"] = etag
    return guarded(response, cache=cache)


def zip_response(chunks: Iterable[bytes], *, name: str) -> HttpResponseBase:
    """A zip that is made while it is sent; its length is not known before."""
    response = StreamingHttpResponse(chunks, content_type="application/zip")
    response.headers["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name)
    # A proxy that collects it all before it passes anything on would undo what streaming is for.
    response.headers["X-Accel-Buffering"] = "no"
    return guarded(response, cache=NEVER_KEPT)


def safe_type(media_type: str) -> str:
    """Nothing that a browser would run, whatever the catalogue believes of it."""
    return media_type if media_type in _SAFE_TYPES else "application/octet-stream"


def guarded(response: HttpResponseBase, *, cache: str) -> HttpResponseBase:
    """With the headers that everything gets that is no page."""
    response.headers["Cache-Control"] = cache
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
