"""Pictures and collections in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.postgres.search import SearchQuery
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from treebeard.admin import TreeAdmin
from treebeard.forms import MoveNodeForm, movenodeform_factory

from dam.assets.addresses import file_url, rendition_url
from dam.assets.models import Asset, Collection
from dam.assets.naming import normalise
from dam.assets.services import asset_request_tags
from dam.staff_admin import ByStaff, ReadOnlyAdmin

admin.site.site_header = admin.site.site_title = "Vitrine"

# More at once would keep the request longer than a web server waits.
_MOST_AT_ONCE = 5_000


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
    actions = ("tag_again",)
    fields = (
        "thumbnail",
        "filename",
        "title",
        "description",
        "state",
        "reason",
        "detail",
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
        ids = list(queryset.values_list("pk", flat=True)[: _MOST_AT_ONCE + 1])
        if len(ids) > _MOST_AT_ONCE:
            self.message_user(request, f"Choose at most {_MOST_AT_ONCE:,} at once.", messages.ERROR)
            return
        for asset in Asset.objects.filter(pk__in=ids).only("pk").iterator():
            asset_request_tags(asset=asset, bulk=True)
        self.message_user(request, f"{len(ids)} pictures will be tagged again.", messages.SUCCESS)

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
