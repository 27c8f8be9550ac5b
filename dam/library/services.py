"""Writes that belong to the pages alone."""

from __future__ import annotations

from django.contrib.auth.models import User
from knox.models import AuthToken


def token_create(*, user: User) -> str:
    """A new API token; the only time that it can be read."""
    _, token = AuthToken.objects.create(user=user)
    return str(token)


def token_revoke(*, user: User, token_key: str) -> bool:
    """End one of a person's own tokens; False if there is none of that key."""
    deleted, _ = AuthToken.objects.filter(user=user, token_key=token_key).delete()
    return bool(deleted)
