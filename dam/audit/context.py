"""Who acts, and from where, while a request is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from ipaddress import ip_address

from django.http import HttpRequest
from django.http.response import HttpResponseBase

_address: ContextVar[str | None] = ContextVar("vitrine_client_address", default=None)


def client_address() -> str | None:
    """The address of the client whose request this thread answers; None outside of a request."""
    return _address.get()


class AuditContext:
    """Middleware: notes where a request comes from, for what is done while it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        token = _address.set(_address_of(request))
        try:
            return self._get_response(request)
        finally:
            _address.reset(token)


def _address_of(request: HttpRequest) -> str | None:
    # What stands here was set by the server in front of us; on a Unix socket it is empty.
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None
