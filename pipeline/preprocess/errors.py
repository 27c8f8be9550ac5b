"""How a picture is turned away: at the door by its header, or later by its pixels."""

from __future__ import annotations

from enum import StrEnum

from pipeline.messages import FailureReason


class RefusalReason(StrEnum):
    """Why an upload is refused before anything is stored. Stable words: they stand in the API."""

    EMPTY = "empty"
    TOO_MANY_BYTES = "too-many-bytes"
    TOO_MANY_PIXELS = "too-many-pixels"
    NOT_A_PICTURE = "not-a-picture"
    UNSUPPORTED_FORMAT = "unsupported-format"


class RefusedPictureError(Exception):
    """The header says that this can never become an asset."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        """A sentence for people; never holds file contents."""


class BadPictureError(Exception):
    """The header was fine and the pixels are not: the picture's fault, so a result and not a retry."""

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        """A sentence for people; never holds file contents."""


class UnsupportedSpecError(ValueError):
    """A model asks for pixels in a way that this code does not know."""
