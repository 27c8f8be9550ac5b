"""What a person who gave a command is told in one sentence."""

from __future__ import annotations


class SetupError(Exception):
    """Something has to be said that neither an option nor a variable says, or what is said is wrong."""


class RefusedError(Exception):
    """The catalogue or the registry says no, or does not answer."""


class RolloutError(Exception):
    """What was asked for did not come to its end."""
