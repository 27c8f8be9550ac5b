"""In whose name a command of the server acts."""

from __future__ import annotations

from django.contrib.auth.models import User


class NoSuchUserError(Exception):
    """Nobody to act for; the text is a sentence for people."""


def acting_user(name: str | None) -> User:
    """The active user of that name; without a name the first administrator.

    Raises:
        NoSuchUserError: there is none.
    """
    if name is not None:
        user = User.objects.filter(username=name, is_active=True).first()
        if user is None:
            raise NoSuchUserError(f"there is no active user “{name}”")
        return user
    user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if user is None:
        raise NoSuchUserError("there is no administrator yet: `vitrine sign_in_link --first-admin` makes one")
    return user
