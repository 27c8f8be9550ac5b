"""What can go wrong here and is told to a person in a sentence, without a stack trace."""

from __future__ import annotations


class BackupError(Exception):
    """An expected failure; its text says what to do."""


class WrongUseError(BackupError):
    """What was asked for can never work: a place inside the blob store, a name that no backup has."""
