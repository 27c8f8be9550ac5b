"""Who did what, in the Django admin: to read."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from dam.assets.models import Level
from dam.assets.selectors import collection_ids
from dam.audit.models import AuditEntry
from dam.staff_admin import ReadOnlyAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Acts of people: one's own, and those in collections that one manages. Here, for collections decide."""

    list_display = ("at", "actor_name", "action", "object_type", "object_id", "object_name", "address")
    list_filter = ("action", "object_type", "at")
    search_fields = ("=object_id", "actor_name", "=request_id")
    search_help_text = "Id of an object, a person's name, or id of a request."
    list_per_page = 50
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Everything for superusers."""
        entries: QuerySet[AuditEntry] = super().get_queryset(request)
        ids = collection_ids(request.user, Level.MANAGE)
        if ids is None:
            return entries
        return entries.filter(Q(actor=request.user.pk) | Q(collection_id__in=ids))
