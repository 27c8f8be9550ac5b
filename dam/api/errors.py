"""Every error of the API in one form: a problem as RFC 9457 has it, with a stable ``code``."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFilesSent,
)
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import exception_handler

from dam.api.upload_limit import TooManyBytesError
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, Asset, AssetVersion, Collection, Grant
from dam.curation.models import DuplicatePair
from dam.search.language import SearchError
from dam.search.models import SavedSearch
from dam.search.paging import CursorError
from pipeline.ports import BlobMissingError, DependencyDownError
from pipeline.preprocess import RefusalReason, RefusedPictureError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

REFUSAL_STATUS: dict[RefusalReason, HTTPStatus] = {
    RefusalReason.EMPTY: HTTPStatus.BAD_REQUEST,
    RefusalReason.TOO_MANY_BYTES: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RefusalReason.TOO_MANY_PIXELS: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusalReason.NOT_A_PICTURE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    RefusalReason.UNSUPPORTED_FORMAT: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}

# What selectors raise alike for what is not there and for what somebody may not see.
_UNKNOWN = (
    Album.DoesNotExist,
    AssetVersion.DoesNotExist,
    Collection.DoesNotExist,
    DuplicatePair.DoesNotExist,
    Grant.DoesNotExist,
    SavedSearch.DoesNotExist,
)

# Where a body has another name for what a service takes.
_NAMES_HERE = {"cover_id": "cover", "asset_ids": "ids"}


class ProblemError(APIException):
    """An error that a view answers with."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.more = more


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """The body of an error. ``more`` are members of its own, such as ``errors`` by field."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        **more,
    }


@csrf_exempt
def not_found(request: HttpRequest, rest: str = "") -> JsonResponse:
    """For addresses below ``/api/`` that mean nothing."""
    del request
    hint = "" if rest.endswith("/") else " Addresses of collections end with a slash."
    body = problem(404, "not-found", f"There is nothing at this address.{hint}")
    return JsonResponse(body, status=404, content_type=MEDIA_TYPE)


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Any exception of a view as a problem; an unforeseen one is logged and tells the caller nothing."""
    request: Request | None = context.get("request")
    if request is not None and isinstance(error, (TooManyBytesError, UnreadablePostError)):
        # Django leaves what had arrived of the file on the disk until the collector comes by.
        for handler in request.upload_handlers:
            handler.upload_interrupted()
    body = _expected(error)
    if body is None:
        # As Django does for an exception that reaches it: the test client raises it, loggers report it.
        log.error("unexpected error", exc_info=error)
        got_request_exception.send(sender=handle, request=getattr(request, "_request", request))
        body = problem(500, "internal-error", "Something went wrong here. It has been logged.")
    drf = exception_handler(error, context)
    headers = dict(drf.headers.items()) if drf is not None else {}
    headers.pop("Content-Type", None)
    if body["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def _expected(error: Exception) -> dict[str, Any] | None:
    return _of_upload(error) or _of_change(error) or _of_reading(error) or _of_framework(error)


def _of_upload(error: Exception) -> dict[str, Any] | None:  # noqa: PLR0911  # one for each kind
    match error:
        case RefusedPictureError():
            return problem(REFUSAL_STATUS[error.reason], error.reason.value, error.message)
        case TooManyBytesError():
            return problem(413, RefusalReason.TOO_MANY_BYTES.value, str(error))
        case TooManyFilesSent():
            return problem(400, "too-many-files", "Send one file at a time.")
        case UnreadablePostError() | RawPostDataException():
            return problem(400, "cut-off", "The body ended before it was complete; nothing was stored.")
        case RequestDataTooBig():
            return problem(413, "too-large", "The body is too large for this address.")
        case MultiPartParserError() | SuspiciousOperation() | BadRequest():
            return problem(400, "bad-request", "The body cannot be read.")
    return None


def _of_change(error: Exception) -> dict[str, Any] | None:
    match error:
        case NotAllowedError():
            return problem(403, "not-allowed", str(error))
        case InvalidChangeError():
            field = _NAMES_HERE.get(error.field, error.field)
            by_field = {"errors": {field: [str(error)]}} if field else {}
            return problem(400, error.code, str(error), **by_field)
        case _ if isinstance(error, _UNKNOWN):
            return problem(404, "not-found", "There is no such thing, or you may not see it.")
    return None


def _of_reading(error: Exception) -> dict[str, Any] | None:
    match error:
        case SearchError():
            return problem(400, "bad-query", error.message, column=error.column)
        case CursorError():
            return problem(400, "bad-cursor", str(error))
        case Asset.DoesNotExist():
            return problem(404, "not-found", "There is no such asset, or you may not see it.")
        case BlobMissingError():
            return problem(404, "missing-blob", "The bytes of this picture are missing from the blob store.")
        case DependencyDownError() | OperationalError() | InterfaceError():
            log.error("a dependency is down", exc_info=error)
            return problem(503, "unavailable", "Something this needs does not answer. Try again later.")
    return None


def _of_framework(error: Exception) -> dict[str, Any] | None:
    match error:
        case ProblemError():
            return problem(error.status_code, error.code, str(error.detail), **error.more)
        case ValidationError():
            return _of_validation(error)
        case Http404():
            return problem(404, "not-found", "There is no such thing.")
        case PermissionDenied():
            return problem(403, "permission-denied", "You may not do this.")
        case APIException():
            code = str(error.default_code).replace("_", "-")
            return problem(error.status_code, code, str(error.detail))
    return None


def _of_validation(error: ValidationError) -> dict[str, Any]:
    detail = error.detail
    errors = detail if isinstance(detail, dict) else {"": detail}
    name, first = next(iter(errors.items()))
    while isinstance(first, (list, dict)) and first:
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    field = f"{name}: " if name else ""
    return problem(400, "invalid", f"{field}{first}", errors=errors)
