"""Pairs that look the same, in the Django admin: to read."""

from __future__ import annotations

from django.contrib import admin

from dam.assets.admin.visible import OfVisibleAssets
from dam.curation.models import DuplicatePair
from dam.staff_admin import ReadOnlyAdmin


@admin.register(DuplicatePair)
class DuplicatePairAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """Pairs of which the person may see both pictures."""

    asset_paths = ("first", "second")
    list_display = ("id", "first", "second", "distance", "state", "decided_by", "found_at")
    list_filter = ("state", "found_at")
    list_select_related = ("first", "second", "decided_by")
    search_fields = ("=first__id", "=second__id")
    ordering = ("-id",)
