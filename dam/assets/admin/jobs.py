"""Jobs in the Django admin: to read, filtered by what became of them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dam.assets.admin.visible import OfVisibleAssets
from dam.jobs.models import TaggingJob
from dam.staff_admin import ReadOnlyAdmin


@admin.register(TaggingJob)
class TaggingJobAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """What was asked of the workers. A picture that was only tried is its owner's alone, and superusers'."""

    list_display = (
        "id",
        "asset_link",
        "generation",
        "purpose",
        "bulk",
        "state",
        "reason",
        "attempts",
        "created_at",
        "closed_at",
    )
    list_filter = ("state", "purpose", "bulk", "reason")
    search_fields = ("=asset__id", "=sha256", "=request_id")
    search_help_text = "Id of an asset, sha256, or id of a request."
    ordering = ("-id",)

    @admin.display(description="asset")
    def asset_link(self, job: TaggingJob) -> SafeString | str:
        """By id, so that a list needs no other table."""
        if job.asset_id is None:
            return "–"
        address = reverse("admin:assets_asset_change", args=[job.asset_id])
        return format_html('<a href="{}">{}</a>', address, job.asset_id)
