"""Errors as TensorFlow Serving reports them: a status code and a sentence, the same over gRPC and REST."""

from __future__ import annotations

from http import HTTPStatus

import grpc

Code = grpc.StatusCode

# As TensorFlow Serving's http_server.cc maps them.
_HTTP_STATUS = {
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Code.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    Code.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    Code.ABORTED: HTTPStatus.CONFLICT,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}
_BY_NUMBER = {code.value[0]: code for code in Code}


class PortTakenError(Exception):
    """Somebody else listens there."""


class ServingError(Exception):
    """A request that cannot be answered, and why."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> HTTPStatus:
        """The status of the same error over REST."""
        return _HTTP_STATUS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)


def invalid(message: str) -> ServingError:
    """The request is wrong in itself."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """The request names what is not there, or not there yet."""
    return ServingError(Code.NOT_FOUND, message)


def from_tensorflow(number: int, message: str) -> ServingError:
    """An error of TensorFlow itself; its numbers are those of gRPC."""
    return ServingError(_BY_NUMBER.get(number, Code.UNKNOWN), message)
