"""Runs and what they found, in the Django admin: to read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from dam.integrity.models import IntegrityFinding, IntegrityRun
from dam.integrity.report import DAMAGE, FAULTS, MEND, Kind, Subject
from dam.staff_admin import ReadOnlyAdmin

_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


@admin.register(IntegrityRun)
class IntegrityRunAdmin(ReadOnlyAdmin):
    """What was compared, and what came of it."""

    list_display = ("id", "begun_at", "ended_at", "outcome", "damaged", "originals", "checksums", "read")
    list_filter = ("outcome", "checksums")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("outcome", "trouble", "begun_at", "ended_at", "command", "store")}),
        ("Compared", {"fields": ("originals", "original_size", "renditions", "listed", "listed_size")}),
        ("Read", {"fields": ("checksums", "read", "read_size", "read_from", "read_until")}),
        ("Found", {"fields": ("damaged", "found")}),
    )

    @admin.display(description="bytes of originals")
    def original_size(self, run: IntegrityRun) -> str:
        """For people."""
        return filesizeformat(run.original_bytes)

    @admin.display(description="bytes in the store")
    def listed_size(self, run: IntegrityRun) -> str:
        """For people."""
        return filesizeformat(run.listed_bytes)

    @admin.display(description="bytes read")
    def read_size(self, run: IntegrityRun) -> str:
        """For people."""
        return filesizeformat(run.read_bytes)

    @admin.display(description="all findings")
    def found(self, run: IntegrityRun) -> SafeString | str:
        """Each fault with its number, its bytes and what to do, and a link to the list of them."""
        rows = []
        for (kind, subject), words in FAULTS.items():
            count, size = run.tally(kind, subject)
            if count:
                query = {"run__id__exact": run.pk, "kind__exact": kind, "subject__exact": subject}
                address = reverse("admin:integrity_integrityfinding_changelist", query=query)
                rows.append(
                    (address, f"{words.capitalize()}: {count:,}", filesizeformat(size), MEND[kind, subject])
                )
        if not rows:
            return "nothing"
        return format_html_join("", '<p><a href="{}">{}</a> ({})<br>{}</p>', rows)


class FaultFilter(admin.SimpleListFilter):
    """Damage alone, which is what people come for."""

    title = "harm"
    parameter_name = "harm"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[IntegrityFinding]
    ) -> Sequence[tuple[str, str]]:
        """One choice beside all."""
        del request, model_admin
        return (("damage", "originals missing or changed"),)

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[IntegrityFinding]
    ) -> QuerySet[IntegrityFinding]:
        """Those that were chosen."""
        del request
        if self.value() != "damage":
            return queryset
        return queryset.filter(subject=Subject.ORIGINAL, kind__in=[kind for kind, _ in DAMAGE])


@admin.register(IntegrityFinding)
class IntegrityFindingAdmin(ReadOnlyAdmin):
    """The files that are not as they should be, of each run up to a thousand of each fault."""

    list_display = ("short_path", "words", "pictures", "file_size", "detail", "run")
    list_filter = (FaultFilter, "kind", "subject")
    list_select_related = ("run",)
    list_per_page = 50
    search_fields = ("path",)
    search_help_text = "Part of a path, such as a sha256."
    ordering = ("-run_id", "id")
    fields = ("run", "words", "path", "file_size", "detail", "pictures", "mend")

    @admin.display(description="path", ordering="path")
    def short_path(self, finding: IntegrityFinding) -> str:
        """With the beginning of a hash, so that what it is a file of stands beside it."""
        return _HASH.sub(r"\1…", finding.path)

    @admin.display(description="what is wrong", ordering="kind")
    def words(self, finding: IntegrityFinding) -> str:
        """For people."""
        return finding.words

    @admin.display(description="size", ordering="size")
    def file_size(self, finding: IntegrityFinding) -> str:
        """For people."""
        return filesizeformat(finding.size) if finding.size else "–"

    @admin.display(description="pictures")
    def pictures(self, finding: IntegrityFinding) -> SafeString | str:
        """Those that it is a file of, with their pages."""
        if not finding.assets:
            return "–"
        links = ((reverse("asset", args=[asset_id]), filename) for asset_id, filename in finding.assets)
        return format_html_join(", ", '<a href="{}">{}</a>', links)

    @admin.display(description="what to do")
    def mend(self, finding: IntegrityFinding) -> str:
        """In words."""
        return MEND[Kind(finding.kind), Subject(finding.subject)]
