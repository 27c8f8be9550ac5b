"""A client of Vitrine's REST API: ``pip install "vitrine[client]"``, then :class:`Client`."""

from vitrine_client.client import Client
from vitrine_client.errors import (
    ChangedMeanwhileError,
    ConnectionFailedError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    NotSignedInError,
    NotTaggedInTimeError,
    ProblemError,
    RefusedPictureError,
    UnavailableError,
    UnexpectedAnswerError,
    VitrineError,
)

__all__ = [
    "ChangedMeanwhileError",
    "Client",
    "ConnectionFailedError",
    "InvalidError",
    "NotAllowedError",
    "NotFoundError",
    "NotSignedInError",
    "NotTaggedInTimeError",
    "ProblemError",
    "RefusedPictureError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "VitrineError",
]
