"""What every page promises a browser: nothing from elsewhere, no inline script, no frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control, patch_vary_headers

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

# Pictures come from here, from placeholders (data:) and from files that the browser itself holds (blob:).
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def page(view: View[P]) -> Callable[..., Any]:
    """A page for anybody, with the policy."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        # Shown from memory when going back, but asked for again otherwise; never kept by a proxy.
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ("Cookie",))
        return response

    return wrapped


def member_page(view: View[P]) -> Callable[..., Any]:
    """A page for those who are signed in; others are sent to sign in and come back."""
    return page(login_required(view))


def member(request: HttpRequest) -> User:
    """Who is signed in, on a page that nobody else reaches."""
    assert isinstance(request.user, User)
    return request.user
