"""What is told in one sentence."""

from __future__ import annotations


class SetupError(Exception):
    """What was given has to be changed."""


class NotYetError(Exception):
    """What is to be brought is not there, not complete, or cannot be understood: somebody will mend it."""
