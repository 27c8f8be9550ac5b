"""Links in the Django admin: to read, and to end."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from dam.sharing.models import Share
from dam.sharing.selectors import shares_visible_to
from dam.sharing.services import share_revoke
from dam.staff_admin import ReadOnlyAdmin, acting


@admin.register(Share)
class ShareAdmin(ReadOnlyAdmin):
    """Links that the person may know of. The secret part of a link is shown on the page *Shares* alone."""

    list_display = (
        *("id", "title", "kind", "created_by", "may_download", "expires_at"),
        *("revoked_at", "last_used_at", "uses"),
    )
    list_filter = ("kind", "may_download", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("created_by",)
    search_fields = ("title",)
    exclude = ("key", "password")
    ordering = ("-id",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Share]:
        """As on the page *Shares*."""
        return shares_visible_to(request.user)

    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Share]) -> None:
        """They open nothing from now on."""
        count = 0
        for share in queryset.filter(revoked_at__isnull=True):
            share_revoke(share=share, user=acting(request))
            count += 1
        self.message_user(request, f"{count} revoked.", messages.SUCCESS)
