"""Who may do what in the Django admin. What belongs to pictures follows their grants besides."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest


def acting(request: HttpRequest) -> User:
    """Who acts, on a page that nobody reaches without signing in."""
    assert isinstance(request.user, User)
    return request.user


class ByStaff:
    """All staff may look, add, change and delete; a class beside it may take back some of that."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """All staff."""
        return request.user.is_active and request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff."""
        del obj
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff."""
        del obj
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff."""
        del obj
        return self.has_module_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff."""
        del obj
        return self.has_module_permission(request)


class ReadOnlyAdmin(ByStaff, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Lists and pages to read. Counting all rows of a large table for every list is left out."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are made by services."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are changed by services."""
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are part of the ledger or follow from it."""
        del request, obj
        return False
