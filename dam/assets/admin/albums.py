"""Albums, in the Django admin."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from dam.assets.admin.visible import visible_through
from dam.assets.models import Album, AlbumEntry
from dam.staff_admin import ReadOnlyAdmin


@admin.register(Album)
class AlbumAdmin(ReadOnlyAdmin):
    """Albums that the person may know of: their own, and those with a picture that they may see."""

    list_display = ("name", "owner", "pictures", "updated_at")
    list_filter = ("updated_at",)
    list_select_related = ("owner",)
    search_fields = ("name",)
    ordering = ("name", "id")
    fields = ("name", "description", "owner", "pictures", "created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Album]:
        """Counted are the pictures that the person may see."""
        albums: QuerySet[Album] = super().get_queryset(request)
        seen = visible_through(request.user, "asset")
        entries = AlbumEntry.objects.filter(seen, album=OuterRef("pk"), asset__trashed_at__isnull=True)
        counted = Q(entries__asset__trashed_at__isnull=True) & visible_through(request.user, "entries__asset")
        albums = albums.annotate(seen=Count("entries", filter=counted))
        if request.user.is_superuser:
            return albums
        return albums.filter(Exists(entries) | Q(owner=request.user.pk))

    @admin.display(description="pictures")
    def pictures(self, album: Album) -> int:
        """That the person may see."""
        return int(album.seen)  # type: ignore[attr-defined]  # annotated above
