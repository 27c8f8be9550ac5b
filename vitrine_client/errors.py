"""What a server refuses or fails to do, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class VitrineError(Exception):
    """Something went wrong; the text is for people."""


class ConnectionFailedError(VitrineError):
    """The server does not answer, or the answer ended early. Whether a change was made is not known."""


class UnexpectedAnswerError(VitrineError):
    """The answer is none of Vitrine's REST API: another address, or a server in front of it."""


class NotTaggedInTimeError(VitrineError):
    """The asset is still waiting for its tags; it will get them all the same."""


class ProblemError(VitrineError):
    """The server said no, as RFC 9457 has it."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "refused"))
        self.problem = dict(problem)
        """All of it, as JSON."""
        self.status = int(problem["status"])
        self.code = str(problem.get("code", ""))
        """A stable word, such as ``not-found``."""
        self.detail = str(problem.get("detail", ""))
        """A sentence for people."""
        self.errors: dict[str, Any] = dict(problem.get("errors") or {})
        """What is wrong, by field, where the body was not right."""
        self.column: int | None = problem.get("column")
        """Where a query cannot be read, from 1."""


class InvalidError(ProblemError):
    """400: what was asked for makes no sense; see ``errors`` and ``column``."""


class NotSignedInError(ProblemError):
    """401: no token, or none that holds."""


class NotAllowedError(ProblemError):
    """403: you may see it, and not do that."""


class NotFoundError(ProblemError):
    """404: there is none, or you may not see it."""


class ChangedMeanwhileError(ProblemError):
    """412: somebody edited it since it was read; read it again."""


class RefusedPictureError(ProblemError):
    """413, 415 or 422: a file that is not taken, with the reason as ``code``."""


class UnavailableError(ProblemError):
    """502, 503 or 504: something does not answer now; try again later."""


_BY_STATUS: Mapping[int, type[ProblemError]] = {
    400: InvalidError,
    401: NotSignedInError,
    403: NotAllowedError,
    404: NotFoundError,
    412: ChangedMeanwhileError,
    413: RefusedPictureError,
    415: RefusedPictureError,
    422: RefusedPictureError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}


def problem_error(problem: Mapping[str, Any]) -> ProblemError:
    """The exception for a problem; ``status`` has to be there."""
    return _BY_STATUS.get(int(problem["status"]), ProblemError)(problem)
