"""One-time links that sign a person in, for the first administrator and for who lost a password."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain, count

from django.contrib.auth.models import User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import base36_to_int, urlsafe_base64_decode, urlsafe_base64_encode

VALID_FOR = timedelta(days=1)


class _LinkTokens(PasswordResetTokenGenerator):
    """Signed, never stored: signing in changes ``last_login``, which spends every link given out before."""

    key_salt = "dam.library.links"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        # With microseconds, unlike Django's own: a link used in the second of the last sign-in is spent too.
        signed_in = user.last_login.isoformat() if user.last_login else ""
        return f"{user.pk}|{user.password}|{signed_in}|{user.is_active}|{timestamp}"

    def is_fresh(self, token: str) -> bool:
        """Whether a token that was found genuine is not too old."""
        made_at = base36_to_int(token.partition("-")[0])
        return self._num_seconds(self._now()) - made_at <= VALID_FOR.total_seconds()


_tokens = _LinkTokens()


def make_path(user: User) -> str:
    """The path of a link that signs this person in once, within a day."""
    uidb64 = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("sign-in-link", kwargs={"uidb64": uidb64, "token": _tokens.make_token(user)})


def user_for(uidb64: str, token: str) -> User | None:
    """Whom a link signs in; None if it was spent, is too old or was never given out.

    Looking does not spend it; signing in does.
    """
    try:
        user = User.objects.get(pk=int(urlsafe_base64_decode(uidb64)), is_active=True)
    except (ValueError, OverflowError, User.DoesNotExist):
        return None
    return user if _tokens.check_token(user, token) and _tokens.is_fresh(token) else None


def first_administrator() -> User | None:
    """Who gets the first link: an administrator without a password who has never signed in; made if need be.

    None as soon as any administrator can get in by other means. So who lost the first link gets another
    one at the next start, and after the first sign-in no start gives one away.
    """
    administrators = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")
    if any(user.last_login is not None or user.has_usable_password() for user in administrators):
        return None
    if administrators:
        return administrators[0]
    taken = set(User.objects.filter(username__startswith="admin").values_list("username", flat=True))
    names = chain(["admin"], (f"admin{number}" for number in count(2)))
    # Without a password: it gets in by the link alone until it chooses one.
    return User.objects.create_superuser(next(name for name in names if name not in taken))
