"""Saved searches in the Django admin: to read."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from dam.search.models import SavedSearch
from dam.staff_admin import ReadOnlyAdmin


@admin.register(SavedSearch)
class SavedSearchAdmin(ReadOnlyAdmin):
    """One's own and those that are shared; superusers see all."""

    list_display = ("name", "owner", "query", "shared", "updated_at")
    list_filter = ("shared", "updated_at")
    list_select_related = ("owner",)
    search_fields = ("name", "query")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedSearch]:
        """What is somebody else's alone is not there."""
        searches: QuerySet[SavedSearch] = super().get_queryset(request)
        if request.user.is_superuser:
            return searches
        return searches.filter(Q(owner=request.user.pk) | Q(shared=True))
