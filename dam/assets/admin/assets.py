"""Pictures, what the queue gave up of them, and collections in the Django admin."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.postgres.search import SearchQuery
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext
from treebeard.admin import TreeAdmin
from treebeard.forms import MoveNodeForm, movenodeform_factory

from dam.assets.addresses import file_url, rendition_url
from dam.assets.models import Asset, Collection
from dam.assets.naming import normalise
from dam.assets.replays import asset_replay, dead_letters_replay
from dam.assets.services import asset_request_tags
from dam.jobs.dead_letters import body_for_people
from dam.jobs.models import DeadLetter
from dam.jobs.services import dead_letter_drop
from dam.staff_admin import ByStaff, ReadOnlyAdmin

admin.site.site_header = admin.site.site_title = "Vitrine"

# More at once would keep the request longer than a web server waits.
_MOST_AT_ONCE = 5_000


_Row = TypeVar("_Row", bound=Model)


def _chosen(request: HttpRequest, queryset: QuerySet[_Row]) -> list[_Row]:
    """What an action was chosen for, oldest first; nothing, and a message, if that is too much."""
    rows = list(queryset.select_related(None).order_by("pk").only("pk")[: _MOST_AT_ONCE + 1])
    if len(rows) > _MOST_AT_ONCE:
        messages.error(request, f"Choose at most {_MOST_AT_ONCE:,} at once.")
        return []
    return rows


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    """Facts of pictures, and asking for their tags again."""

    list_display = ("thumbnail", "filename", "state", "reason", "uploaded_by", "file_size", "created_at")
    list_display_links = ("thumbnail", "filename")
    list_filter = ("state", "reason", "media_type", "created_at")
    list_select_related = ("current_version__blob", "uploaded_by")
    list_per_page = 50
    search_fields = ("filename",)
    search_help_text = "Beginnings of words in name, title and description."
    ordering = ("-id",)
    actions = ("tag_again", "replay_failed")
    fields = (
        "thumbnail",
        "filename",
        "title",
        "description",
        "state",
        "reason",
        "detail",
        "replay",
        "collection",
        "dimensions",
        "file_size",
        "media_type",
        "sha256",
        "taken_at",
        "camera",
        "uploaded_by",
        "created_at",
        "updated_at",
        "generation",
        "see_also",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Asset], search_term: str
    ) -> tuple[QuerySet[Asset], bool]:
        """By the search column, whose index a LIKE would not use."""
        del request
        words = normalise(search_term).split()
        if not words:
            return queryset, False
        beginnings = " & ".join(f"'{word}':*" for word in words)
        return queryset.filter(words=SearchQuery(beginnings, config="simple", search_type="raw")), False

    def has_tag_again_permission(self, request: HttpRequest) -> bool:
        """All staff may change assets."""
        return self.has_view_permission(request)

    @admin.action(description="Tag again", permissions=["tag_again"])
    def tag_again(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """Issue a job of the next generation for each; what people decided stays."""
        chosen = _chosen(request, queryset)
        for asset in chosen:
            asset_request_tags(asset=asset, bulk=True)
        if chosen:
            self.message_user(request, f"{_pictures(len(chosen))} will be tagged again.", messages.SUCCESS)

    @admin.action(description="Replay those that failed", permissions=["tag_again"])
    def replay_failed(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """Issue a job for each that failed, and say how many were not."""
        chosen = _chosen(request, queryset)
        replayed = sum(asset_replay(asset=asset, bulk=True) is not None for asset in chosen)
        if replayed:
            self.message_user(request, f"{_pictures(replayed)} will be tagged again.", messages.SUCCESS)
        if others := len(chosen) - replayed:
            self.message_user(
                request, f"{_pictures(others)} not replayed: only what failed is.", messages.INFO
            )

    def get_urls(self) -> list[URLPattern]:
        """With the address of the button on a picture's page."""
        replay = self.admin_site.admin_view(self.replay_view)
        mine = [path("<int:asset_id>/replay/", replay, name="assets_asset_replay")]
        return [*mine, *super().get_urls()]

    def replay_view(self, request: HttpRequest, asset_id: int) -> HttpResponse:
        """Replay one picture, whose page is shown again."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_tag_again_permission(request):
            raise PermissionDenied
        asset = get_object_or_404(Asset, pk=asset_id)
        if asset_replay(asset=asset) is None:
            self.message_user(request, "It has not failed, or is being tagged again.", messages.INFO)
        else:
            self.message_user(request, f"“{asset}” will be tagged again.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:assets_asset_change", args=[asset_id]))

    @admin.display(description="")
    def replay(self, asset: Asset) -> SafeString | str:
        """A button, if it failed. The page is a form already, so it only needs an address of its own."""
        if asset.state != Asset.State.FAILED:
            return "–"
        address = reverse("admin:assets_asset_replay", args=[asset.pk])
        return format_html('<button type="submit" class="button" formaction="{}">Tag again</button>', address)

    @admin.display(description="")
    def thumbnail(self, asset: Asset) -> SafeString | str:
        """The rendition of the grid, small."""
        address = rendition_url(asset, "grid")
        if address is None:
            return "–"
        style = "height:56px;max-width:120px;object-fit:cover;border-radius:4px"
        return format_html('<img src="{}" alt="" loading="lazy" style="{}">', address, style)

    @admin.display(description="size", ordering="size")
    def file_size(self, asset: Asset) -> str:
        """For people."""
        return filesizeformat(asset.size)

    @admin.display(description="pixels")
    def dimensions(self, asset: Asset) -> str:
        """Width and height."""
        return f"{asset.width} × {asset.height}"

    @admin.display(description="sha256")
    def sha256(self, asset: Asset) -> str:
        """Of the current file."""
        return asset.current_version.blob.sha256 if asset.current_version else "–"

    @admin.display(description="see also")
    def see_also(self, asset: Asset) -> SafeString:
        """The page for people, the file, and what the catalogue knows besides."""
        links: list[tuple[str, Any]] = [
            (reverse("asset", args=[asset.pk]), "page"),
            (file_url(asset), "file"),
        ]
        for name in ("tagging_claim", "tagging_decision", "tagging_prediction", "jobs_taggingjob"):
            address = reverse(f"admin:{name}_changelist", query={"asset__id__exact": asset.pk})
            links.append((address, f"{name.partition('_')[2].replace('taggingjob', 'job')}s"))
        return format_html_join(" · ", '<a href="{}">{}</a>', links)


def _pictures(count: int) -> str:
    return f"{count:,} {ngettext('picture', 'pictures', count)}"


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Messages that the queue gave up: to read, to replay, to drop. Here, for a replay needs the picture."""

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
        queryset: QuerySet[DeadLetter] = super().get_queryset(request)
        return queryset.defer("body")

    def has_settle_permission(self, request: HttpRequest) -> bool:
        """All staff may ask for tags again."""
        return self.has_view_permission(request)

    @admin.action(description="Replay: ask for the tags again", permissions=["settle"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Replay each, and say which could not be."""
        done = dead_letters_replay(letters=_chosen(request, queryset))
        if done.replayed:
            said = f"{_letters(done.replayed)} replayed, {_jobs(done.issued)} issued."
            self.message_user(request, said, messages.SUCCESS)
        for why, count in Counter(done.refused.values()).items():
            self.message_user(request, f"{_letters(count)} not replayed: {why}.", messages.WARNING)

    @admin.action(description="Drop: settle without a replay", permissions=["settle"])
    def drop(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        """Drop each that was not replayed."""
        dropped = replayed = 0
        for letter in _chosen(request, queryset):
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


class CollectionForm(MoveNodeForm):  # type: ignore[misc]  # treebeard has no types
    """A place in the tree; the library has one root."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["treebeard_ref_node"].required = True

    def clean(self) -> dict[str, Any]:
        """Nothing stands beside the root."""
        cleaned: dict[str, Any] = super().clean()
        beside = cleaned.get("treebeard_ref_node")
        if beside is not None and beside.is_root() and cleaned.get("treebeard_position") != "sorted-child":
            raise ValidationError("The library has one root; choose “Child of”.")
        return cleaned


@admin.register(Collection)
class CollectionAdmin(ByStaff, TreeAdmin):  # type: ignore[misc]  # treebeard has no types
    """The tree of the library. Its root is where uploads go, so it stays as it is."""

    form = movenodeform_factory(Collection, form=CollectionForm)
    list_display = ("name", "description", "created_at")
    search_fields = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Collection | None = None) -> bool:
        """Not of the root."""
        return (obj is None or not obj.is_root()) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Collection | None = None) -> bool:
        """Not of the root; of others as long as no picture lives in them (the database sees to that)."""
        return (obj is None or not obj.is_root()) and super().has_delete_permission(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One at a time: deleting many at once would not ask about each."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def move_node(self, request: HttpRequest) -> HttpResponse:
        """By dragging; nothing is left beside the root."""
        with transaction.atomic():
            response: HttpResponse = super().move_node(request)
            if Collection.objects.get_root_nodes().count() > 1:
                transaction.set_rollback(True)
                messages.error(request, "The library has one root.")
                return HttpResponseBadRequest("The library has one root.")
        return response
