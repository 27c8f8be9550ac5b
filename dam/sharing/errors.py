"""Why a link does not open, and why a picture cannot be downloaded; each with a sentence for people."""

from __future__ import annotations

from dam.assets.errors import NotAllowedError


class ShareGoneError(Exception):
    """There is no such link, or not any more; which of them, nobody is told."""


class PasswordNeededError(Exception):
    """The link asks for a password first."""


class WrongPasswordError(Exception):
    """Not the password of this link."""


class TooManyAttemptsError(Exception):
    """Wrong passwords were tried too often; not even the right one is looked at for a while."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("Too many wrong passwords. Wait a little and try again.")
        self.wait_s = wait_s
        """Seconds until the next one is looked at."""


class NotDownloadableError(NotAllowedError):
    """The person may see the picture, and may not have its file."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        """``not-downloadable``, ``expired`` or ``embargoed``."""


class CannotConvertError(Exception):
    """This picture cannot be had in that size and format."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code
        """``cannot-decode``, ``too-large`` or ``took-too-long``."""


class ConverterBusyError(Exception):
    """Other pictures are being converted; try again in a moment."""
