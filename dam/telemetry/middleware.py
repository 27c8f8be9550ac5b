"""Around every request: its id, its line in the log, its span, its numbers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject
from django_prometheus.middleware import PrometheusAfterMiddleware

from dam.telemetry.metrics import UPLOAD_OUTCOMES, UPLOADS, begin_at_zero
from pipeline.telemetry.logs import HIDDEN
from pipeline.telemetry.requests import accepted_request_id, for_request
from pipeline.telemetry.tracing import Span, accepted_traceparent, span

HEADER = "X-Request-ID"
MOST_OF_A_PATH = 300

log: Any = structlog.get_logger()

# Whoever knows the rest of such a path may sign in by it, or open a link to pictures.
_SECRET_PATH = re.compile(r"(/sign-in/link/|^/s/).+")
_PROBES = frozenset({"/healthz", "/readyz"})


class RequestTelemetry:
    """The outermost middleware. Jobs that are issued inside carry on the request's id and trace."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        begin_at_zero(UPLOADS, UPLOAD_OUTCOMES)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        began = time.perf_counter()
        request_id = accepted_request_id(request.headers.get(HEADER, ""))
        with for_request(request_id), _span_of(request) as made:
            response = self._get_response(request)
            response.headers[HEADER] = request_id
            _describe(made, request, response, request_id)
            # A probe every few seconds is no news, unless it fails.
            if request.path not in _PROBES or response.status_code != HTTPStatus.OK:
                _tell(request, response, (time.perf_counter() - began) * 1000)
        return response


def _span_of(request: HttpRequest) -> AbstractContextManager[Span]:
    if request.path in _PROBES:
        return nullcontext(Span(""))
    parent = accepted_traceparent(request.headers.get("traceparent", ""))
    method = request.method or ""
    return span(method, parent=parent, kind="server", http__request__method=method)


def _describe(made: Span, request: HttpRequest, response: HttpResponseBase, request_id: str) -> None:
    match = request.resolver_match
    if match is not None:
        made.rename(f"{request.method} {match.view_name or match.route}")
        made.set(http__route=match.route)
    made.set(
        url__path=_path(request),
        http__response__status_code=response.status_code,
        vitrine__request_id=request_id,
    )
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        made.failed(str(response.status_code))


def _tell(request: HttpRequest, response: HttpResponseBase, spent_ms: float) -> None:
    status = response.status_code
    facts = {"user": _user_id(request), "bytes": _size(response), "received": _received(request)}
    write = log.warning if status >= HTTPStatus.INTERNAL_SERVER_ERROR else log.info
    write(
        "request",
        method=request.method,
        path=_path(request),
        status=status,
        ms=round(spent_ms, 1),
        **{name: fact for name, fact in facts.items() if fact},
    )


def _path(request: HttpRequest) -> str:
    """Without the query, which holds what people look for; escaped, so that it is one line."""
    return escape_uri_path(_SECRET_PATH.sub(rf"\1{HIDDEN}", request.path))[:MOST_OF_A_PATH]


def _user_id(request: HttpRequest) -> int | None:
    """Who asked, if anything wanted to know: asking now would cost a query."""
    known = vars(request)
    user = known.get("_cached_user") or known.get("user")
    return None if type(user) is SimpleLazyObject else getattr(user, "pk", None)


def _size(response: HttpResponseBase) -> int | None:
    if isinstance(response, HttpResponse):
        return len(response.content)
    declared = response.headers.get("Content-Length", "")
    return int(declared) if declared.isdigit() else None


def _received(request: HttpRequest) -> int | None:
    declared = request.headers.get("Content-Length", "")
    return int(declared) if declared.isdigit() else None


class RequestMetrics(PrometheusAfterMiddleware):  # type: ignore[misc]  # it has no types
    """The numbers of requests by view, method and status; a made-up method makes no label of its own."""

    def label_metric(self, metric: Any, request: HttpRequest, response: Any = None, **labels: Any) -> Any:
        """See django-prometheus; this is where it lets labels be changed."""
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)
