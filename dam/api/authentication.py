"""Tokens for programs."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed


class BearerToken(TokenAuthentication):  # type: ignore[misc]  # knox has no types
    """``Authorization: Bearer TOKEN``, as ``vitrine create_token`` prints it."""

    def authenticate_credentials(self, token: bytes) -> Any:
        """As knox does, for a header of any bytes."""
        try:
            token.decode()
        except UnicodeDecodeError:
            raise AuthenticationFailed("Invalid token.") from None
        return super().authenticate_credentials(token)

    def _cleanup_token(self, auth_token: Any) -> bool:
        """Whether the token is of no use any more; knox would look at all others of its user each time."""
        expired = auth_token.expiry is not None and auth_token.expiry < timezone.now()
        if expired:
            auth_token.delete()
        return expired


class _BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "dam.api.authentication.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """For OpenAPI."""
        del auto_schema
        return {"type": "http", "scheme": "bearer"}
