"""What can go wrong here and is told to a person in a sentence, without a stack trace."""

from __future__ import annotations


class EmbeddedError(Exception):
    """An expected failure of the embedded system; its text says what to do."""
