"""What the queue gave up of pictures, in the Django admin. Here, for a replay needs the picture."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from dam.assets.admin.chosen import chosen_rows
from dam.assets.admin.visible import OfVisibleAssets
from dam.assets.replays import dead_letters_replay
from dam.jobs.dead_letters import body_for_people
from dam.jobs.models import DeadLetter
from dam.jobs.services import dead_letter_drop
from dam.staff_admin import ReadOnlyAdmin


@admin.register(DeadLetter)
class DeadLetterAdmin(OfVisibleAssets, ReadOnlyAdmin):
    """Messages that the queue gave up: to read, to replay, to drop."""

    asset_paths = ("job__asset",)
    asset_optional = True

    list_display = ("id", "first_seen", "queue", "asset_link", "deliveries", "state", "reason")
    list_filter = ("state", "queue", "first_seen")
    list_select_related = ("job",)
    list_per_page = 50
    search_fields = ("reason", "=job__asset__id", "=message_id")
    search_help_text = "Part of a reason, id of an asset, or id of a message."
    ordering = ("-id",)
    actions = ("replay", "drop")
    fields = (
        "state",
        "queue",
        "reason",
        "deliveries",
        "first_seen",
        "asset_link",
        "generation",
        "job",
        "replayed_job",
        "settled_at",
        "message_id",
        "message",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """Without the bodies, which only a letter's own page shows."""
        queryset: QuerySet[Any] = super().get_queryset(request)
        return queryset.defer("body")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """All staff may ask for tags again."""
        return self.has_view_permission(request)

    @admin.action(description="Replay: ask for the tags again", permissions=["settle"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Replay each, and say which could not be."""
        done = dead_letters_replay(letters=chosen_rows(request, queryset))
        if done.replayed:
            said = f"{_letters(done.replayed)} replayed, {_jobs(done.issued)} issued."
            self.message_user(request, said, messages.SUCCESS)
        for why, count in Counter(done.refused.values()).items():
            self.message_user(request, f"{_letters(count)} not replayed: {why}.", messages.WARNING)

    @admin.action(description="Drop: settle without a replay", permissions=["settle"])
    def drop(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Drop each that was not replayed."""
        dropped = replayed = 0
        for letter in chosen_rows(request, queryset):
            try:
                dropped += dead_letter_drop(letter=letter)
            except ValueError:
                replayed += 1
        if dropped:
            self.message_user(request, f"{_letters(dropped)} dropped.", messages.SUCCESS)
        if replayed:
            self.message_user(
                request, f"{_letters(replayed)} not dropped: replayed before.", messages.WARNING
            )

    @admin.display(description="asset")
    def asset_link(self, letter: DeadLetter) -> SafeString | str:
        """The picture, if there is one."""
        if letter.job is None or letter.job.asset_id is None:
            return "–"
        address = reverse("admin:assets_asset_change", args=[letter.job.asset_id])
        return format_html('<a href="{}">{}</a>', address, letter.job.asset_id)

    @admin.display(description="deliveries", ordering="delivery_count")
    def deliveries(self, letter: DeadLetter) -> int:
        """Shorter than the column's name."""
        return letter.delivery_count

    @admin.display(description="message")
    def message(self, letter: DeadLetter) -> SafeString:
        """As JSON, or as text in which whatever does not print is escaped."""
        return format_html("<pre style='white-space:pre-wrap'>{}</pre>", body_for_people(letter))


def _letters(count: int) -> str:
    return f"{count:,} {ngettext('dead letter', 'dead letters', count)}"


def _jobs(count: int) -> str:
    return f"{count:,} {ngettext('job', 'jobs', count)}"
