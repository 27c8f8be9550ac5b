"""Pictures in the Django admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.postgres.search import SearchQuery
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from dam.assets.addresses import file_url, rendition_url
from dam.assets.admin.asset_forms import AssetForm, ManyForm
from dam.assets.admin.chosen import chosen_rows
from dam.assets.admin.filters import InCollection, InTrash, Orientation, Usable
from dam.assets.admin.visible import OfVisibleAssets
from dam.assets.admin.written import WrittenByServices
from dam.assets.editing import RIGHTS
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, AssetVersion
from dam.assets.naming import normalise
from dam.assets.replays import asset_replay
from dam.assets.rights import mark_of
from dam.assets.selectors import can_change
from dam.assets.services import asset_request_tags
from dam.assets.trash import assets_restore, assets_trash
from dam.staff_admin import ByStaff, acting

admin.site.site_header = admin.site.site_title = "Vitrine"


_OF_PIXELS = ("colours", "taken_at", "camera")


class VersionInline(ByStaff, admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs only
    """The files that it has had, to read."""

    model = AssetVersion
    fields = readonly_fields = ("number", "filename", "created_by", "created_at")
    ordering = ("-number",)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Files are replaced on the picture's own page."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Files never change."""
        del request, obj
        return False


@admin.register(Asset)
class AssetAdmin(OfVisibleAssets, WrittenByServices, ByStaff, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs
    """Pictures that the person may see: texts, rights, the trash, and asking for their tags again."""

    asset_paths = ("",)
    form = AssetForm
    list_display = (
        "thumbnail",
        "filename",
        "collection",
        "state",
        "reason",
        "licence",
        "mark",
        "uploaded_by",
        "file_size",
        "created_at",
    )
    list_display_links = ("thumbnail", "filename")
    list_filter = (
        InTrash,
        "state",
        "reason",
        InCollection,
        Usable,
        "release_status",
        "media_type",
        Orientation,
        "created_at",
        "taken_at",
    )
    list_select_related = ("current_version__blob", "uploaded_by", "collection")
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("filename",)
    search_help_text = "Beginnings of words in name, title and description."
    ordering = ("-id",)
    actions = ("edit_many", "move_to_trash", "restore", "tag_again", "replay_failed")
    inlines = (VersionInline,)
    fieldsets = (
        (None, {"fields": ("thumbnail", "filename", "title", "description", "collection", "see_also")}),
        ("Rights", {"fields": (*RIGHTS, "mark")}),
        ("Tagging", {"fields": ("state", "reason", "detail", "replay", "generation")}),
        (
            "File",
            {
                "fields": (
                    "dimensions",
                    "file_size",
                    "media_type",
                    "sha256",
                    "colours",
                    "taken_at",
                    "camera",
                ),
            },
        ),
        ("History", {"fields": ("uploaded_by", "created_at", "updated_at", "trashed_at")}),
    )
    readonly_fields = (
        *("thumbnail", "filename", "collection", "see_also", "mark", "state", "reason", "detail", "replay"),
        *("generation", "dimensions", "file_size", "media_type", "sha256", "colours", "taken_at", "camera"),
        *("uploaded_by", "created_at", "updated_at", "trashed_at"),
    )

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Pictures are uploaded."""
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Asset | None = None) -> bool:
        """Who curates there, and who contributed it; not what lies in the trash."""
        if obj is None:
            return self.has_view_permission(request)
        return obj.trashed_at is None and can_change(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Asset | None = None) -> bool:
        """By way of the trash."""
        del request, obj
        return False

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Who did what with it, here and elsewhere."""
        del request, extra_context
        asked = {"object_type__exact": "asset", "q": object_id}
        return HttpResponseRedirect(reverse("admin:audit_auditentry_changelist", query=asked))

    @admin.action(description="Edit rights, or move to a collection…", permissions=["view"])
    def edit_many(self, request: HttpRequest, queryset: QuerySet[Asset]) -> HttpResponse | None:
        """Ask what is to change, then change all of them or none."""
        chosen = chosen_rows(request, queryset)
        if not chosen:
            return None
        ids = [asset.pk for asset in chosen]
        sent = request.POST if "apply" in request.POST else None
        form = ManyForm(sent, user=acting(request), asset_ids=ids)
        if sent is not None and form.is_valid():
            self.message_user(request, f"{_pictures(len(ids))} changed.", messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"Edit {_pictures(len(ids))}",
            "form": form,
            "ids": ids,
            "opts": self.opts,
            "action_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/assets/edit_many.html", context)

    @admin.action(description="Move to the trash", permissions=["view"])
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """All of them, or none."""
        self._act(request, queryset, assets_trash, "moved to the trash")

    @admin.action(description="Restore from the trash", permissions=["view"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """All of them, or none."""
        self._act(request, queryset, assets_restore, "restored")

    def _act(
        self, request: HttpRequest, queryset: QuerySet[Asset], act: Callable[..., int], done: str
    ) -> None:
        ids = [asset.pk for asset in chosen_rows(request, queryset)]
        if not ids:
            return
        try:
            count = act(asset_ids=ids, user=acting(request))
        except (NotAllowedError, InvalidChangeError) as error:
            self.message_user(request, str(error), messages.ERROR)
        except Asset.DoesNotExist:
            self.message_user(
                request, "Nothing was changed: one of them is not where you may do that.", messages.ERROR
            )
        else:
            self.message_user(request, f"{_pictures(count)} {done}.", messages.SUCCESS)

    @admin.display(description="may be used")
    def mark(self, asset: Asset) -> str:
        """Whether its rights let it be used today."""
        return {"": "yes", "expired": "no: expired", "embargoed": "no: under an embargo"}[mark_of(asset)]

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
        """Each picture is looked at by itself."""
        return self.has_view_permission(request)

    @admin.action(description="Tag again", permissions=["tag_again"])
    def tag_again(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """Issue a job of the next generation for each; what people decided stays."""
        chosen = chosen_rows(request, queryset)
        changeable = self._changeable(request, chosen)
        for asset in changeable:
            asset_request_tags(asset=asset, bulk=True)
        if changeable:
            self.message_user(
                request, f"{_pictures(len(changeable))} will be tagged again.", messages.SUCCESS
            )

    @admin.action(description="Replay those that failed", permissions=["tag_again"])
    def replay_failed(self, request: HttpRequest, queryset: QuerySet[Asset]) -> None:
        """Issue a job for each that failed, and say how many were not."""
        chosen = chosen_rows(request, queryset)
        changeable = self._changeable(request, chosen)
        replayed = sum(asset_replay(asset=asset, bulk=True) is not None for asset in changeable)
        if replayed:
            self.message_user(request, f"{_pictures(replayed)} will be tagged again.", messages.SUCCESS)
        if others := len(changeable) - replayed:
            self.message_user(
                request, f"{_pictures(others)} not replayed: only what failed is.", messages.INFO
            )

    def _changeable(self, request: HttpRequest, chosen: list[Asset]) -> list[Asset]:
        """Those that the person may change; how many the others are is said."""
        found = Asset.objects.in_bulk([asset.pk for asset in chosen])
        allowed = [asset for asset in found.values() if can_change(request.user, asset)]
        if others := len(chosen) - len(allowed):
            self.message_user(
                request, f"{_pictures(others)} left alone: not yours to change.", messages.WARNING
            )
        return allowed

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
        asset: Any = get_object_or_404(self.get_queryset(request), pk=asset_id)
        if not can_change(request.user, asset):
            raise PermissionDenied
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
