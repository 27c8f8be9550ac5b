"""Stops reading an upload as soon as it is known to be too large."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

# What a multipart body holds besides the file: boundaries, headers, a few short fields.
_OVERHEAD = 64 * 1024


class TooManyBytesError(RequestDataTooBig):
    """The file is larger than ``MAX_UPLOAD_BYTES``."""

    def __init__(self) -> None:
        super().__init__(f"The file is too large; at most {settings.MAX_UPLOAD_BYTES:,} bytes are accepted.")


class UploadLimit(FileUploadHandler):
    """First of ``FILE_UPLOAD_HANDLERS``: raises before the others keep a byte too many.

    An announced length that is too large is refused before anything is read, a longer file than
    announced while it streams in.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],  # noqa: N803  # Django's name, passed by keyword or not
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """See :meth:`FileUploadHandler.handle_raw_input`."""
        del input_data, META, boundary, encoding
        if content_length > settings.MAX_UPLOAD_BYTES + _OVERHEAD:
            raise TooManyBytesError

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """See :meth:`FileUploadHandler.receive_data_chunk`."""
        if start + len(raw_data) > settings.MAX_UPLOAD_BYTES:
            raise TooManyBytesError
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The next handlers keep the file."""
