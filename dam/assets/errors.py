"""Why a change was refused; each with a sentence for people. Nothing was changed."""

from __future__ import annotations


class NotAllowedError(Exception):
    """The person may see what they asked to change, and may not change it."""


class InvalidChangeError(Exception):
    """What was asked for makes no sense as it stands."""

    def __init__(self, message: str, *, field: str = "", code: str = "invalid") -> None:
        super().__init__(message)
        self.field = field
        """Which part of what was sent; empty: all of it."""
        self.code = code
        """A stable word for programs."""
