"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Status(StrEnum):
    """How it stands, from the best to the worst that counts; what was not looked at counts for nothing."""

    SKIPPED = "skipped"
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Args:
        status: how it stands.
        found: what was seen, or why it was not looked at.
        mend: a sentence that says what to do, with the command; every warning and failure has one.
        name: which of several things that one check looks at; empty: the check's own name says it.
    """

    status: Status
    found: str
    mend: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        if self.status in {Status.WARNING, Status.FAILURE} and not self.mend:
            raise ValueError(f"nobody is told how to mend this: {self.found}")

    def of(self, name: str) -> Finding:
        """The same, of one of several things."""
        return replace(self, name=name)


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, found)


def skipped(reason: str) -> Finding:
    """There is nothing to look at here."""
    return Finding(Status.SKIPPED, reason)


def warning(found: str, *, mend: str) -> Finding:
    """It works, and is not as it should be."""
    return Finding(Status.WARNING, found, mend)


def failure(found: str, *, mend: str) -> Finding:
    """Something does not work, or is a danger."""
    return Finding(Status.FAILURE, found, mend)


def said_by(error: BaseException) -> str:
    """The first line of what an exception says, or what kind it is."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


Look = Callable[[], Finding | Sequence[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at. ``look`` changes nothing; what it raises is told as a fault of its own."""

    name: str
    look: Look


@dataclass(frozen=True, slots=True)
class Area:
    """Checks that look at the same thing, one after the other; areas are looked at side by side.

    Args:
        title: for people.
        checks: in the order in which they are told.
        gate: where it does not succeed, the checks are skipped, because each would only say so again.
        reads_database: each check runs in a read-only transaction of its own.
    """

    title: str
    checks: tuple[Check, ...]
    gate: Check | None = None
    reads_database: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A finding with its place in the report."""

    area: str
    name: str
    finding: Finding
