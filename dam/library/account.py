"""Signing in and out, the password, and tokens for programs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import login, update_session_auth_hash, views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from dam.library import links, selectors, services
from dam.library.policy import member, member_page, page

_BACKEND = "django.contrib.auth.backends.ModelBackend"
_CAME_BY_LINK = "came_by_link"


def _dress(form: forms.BaseForm) -> None:
    """Our look, and each error tied to its field for screen readers."""
    for bound in form:
        attrs = bound.field.widget.attrs
        attrs["class"] = "input"
        if form.is_bound and bound.errors:
            attrs["aria-invalid"] = "true"
            attrs["aria-describedby"] = f"{bound.id_for_label}_error"


class SignInForm(AuthenticationForm):
    """User name and password."""

    error_messages = {  # noqa: RUF012  # as Django declares it
        **AuthenticationForm.error_messages,
        "invalid_login": "That user name and password do not belong together. Mind upper and lower case.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["username"].widget.attrs["autocapitalize"] = "none"
        _dress(self)


@method_decorator(page, name="dispatch")
class SignIn(views.LoginView):
    """By name and password; who is signed in already goes on to the library."""

    template_name = "library/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@page
def sign_in_by_link(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    """By a one-time link. Looking at it does not spend it: mail scanners and previews look too."""
    user = links.user_for(uidb64, token)
    if user is None:
        return render(request, "library/sign_in_link.html", status=410)
    if request.method != "POST":
        return render(request, "library/sign_in_link.html", {"person": user})
    login(request, user, backend=_BACKEND)
    # Whoever comes by a link has no password or has lost it.
    request.session[_CAME_BY_LINK] = True
    return redirect("password")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; who has none yet sets the first without being asked for another."""
    user = member(request)
    first = not user.has_usable_password() or request.session.get(_CAME_BY_LINK, False)
    kind = SetPasswordForm if first else PasswordChangeForm
    form: SetPasswordForm[User] = kind(user, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        form.save()
        request.session.pop(_CAME_BY_LINK, None)
        update_session_auth_hash(request, user)
        return redirect("library")
    _dress(form)
    return render(request, "library/password.html", {"form": form, "first": first})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def tokens(request: HttpRequest) -> HttpResponse:
    """The tokens of a person; POST makes one, which this answer alone shows."""
    user = member(request)
    new = services.token_create(user=user) if request.method == "POST" else ""
    return render(request, "library/tokens.html", {"tokens": selectors.tokens_of(user), "new_token": new})


@require_POST
@member_page
def token_revoke(request: HttpRequest, token_key: str) -> HttpResponse:
    """End one of one's own tokens."""
    if not services.token_revoke(user=member(request), token_key=token_key):
        raise Http404
    return redirect("tokens")
