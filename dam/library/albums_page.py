"""Albums: what belongs together, wherever it lives."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.assets.albums import (
    album_add,
    album_assets,
    album_counts,
    album_covers,
    album_create,
    album_delete,
    album_get,
    album_remove,
    album_update,
    albums_visible_to,
    may_edit_album,
)
from dam.assets.models import Album
from dam.assets.selectors import assets_visible_to
from dam.library.acting import Done, act, pictures, posted_id, posted_ids, posted_text
from dam.library.chips import search_address
from dam.library.policy import member, member_page

PAGE_SIZE = 60
_MOST_PAGES = 100_000


@require_safe
@member_page
def albums(request: HttpRequest) -> HttpResponse:
    """All albums that one may know of, by name."""
    user, page = member(request), _page(request)
    first = (page - 1) * PAGE_SIZE
    found = list(albums_visible_to(user)[first : first + PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    context = {
        "section": "albums",
        "albums": shown,
        "covers": album_covers(user=user, albums=shown),
        "counts": album_counts(user=user, albums=shown),
        "more": f"?page={page + 1}" if len(found) > PAGE_SIZE else "",
    }
    return render(request, "library/albums.html", context)


@require_safe
@member_page
def album(request: HttpRequest, album_id: int) -> HttpResponse:
    """One album: its pictures that one may see, in the order in which they were added."""
    user = member(request)
    found = _album(request, album_id)
    after = request.GET.get("after", "")
    rows = album_assets(user=user, album=found)
    count = rows.count()
    if after.isdecimal() and len(after) < 19:
        rows = rows.filter(album_entries__album=found, album_entries__pk__gt=int(after))
    page = list(rows.values_list("album_entries__pk", "pk")[: PAGE_SIZE + 1])
    shown = page[:PAGE_SIZE]
    assets = (
        assets_visible_to(user)
        .select_related("current_version__blob")
        .defer("words")
        .in_bulk([asset_id for _, asset_id in shown])
    )
    query = f"album:{found.pk}"
    context = {
        "section": "albums",
        "album": found,
        "assets": [assets[asset_id] for _, asset_id in shown if asset_id in assets],
        "count": count,
        "all_of_it": query,
        "context": search_address(query=query),
        "may_edit": may_edit_album(user, found),
        "more": f"?after={shown[-1][0]}" if len(page) > PAGE_SIZE else "",
    }
    return render(request, "library/album.html", context)


@act
def create(request: HttpRequest) -> Done:
    """A new album, with the pictures named by ``ids``, if any."""
    ids = posted_ids(request) if request.POST.get("ids") else []
    made = album_create(
        name=posted_text(request, "name"),
        user=member(request),
        description=posted_text(request, "description"),
        asset_ids=ids,
    )
    return Done(said=f"The album “{made}” was made.", go="" if ids else reverse("album", args=[made.pk]))


@act
def edit(request: HttpRequest, album_id: int) -> Done:
    """Name and description."""
    album_update(
        album=_album(request, album_id),
        user=member(request),
        name=posted_text(request, "name"),
        description=posted_text(request, "description"),
    )
    return Done(said="Saved.")


@act
def delete(request: HttpRequest, album_id: int) -> Done:
    """The album goes; its pictures stay."""
    found = _album(request, album_id)
    album_delete(album=found, user=member(request))
    return Done(said=f"The album “{found}” was deleted.", go=reverse("albums"))


@act
def add(request: HttpRequest) -> Done:
    """Put pictures into the album ``album``, or into a new one called ``name``."""
    user, ids = member(request), posted_ids(request)
    name, wanted = posted_text(request, "name"), posted_id(request, "album")
    if wanted is None or name:
        made = album_create(name=name, user=user, asset_ids=ids)
        return Done(said=f"Added to the new album “{made}”.")
    found = _album(request, wanted)
    album_add(album=found, asset_ids=ids, user=user)
    return Done(said=f"Added to “{found}”.")


@act
def remove(request: HttpRequest, album_id: int) -> Done:
    """Take pictures out of an album."""
    found, ids = _album(request, album_id), posted_ids(request)
    album_remove(album=found, asset_ids=ids, user=member(request))
    return Done(said=f"{pictures(len(ids))} removed from “{found}”.")


@act
def cover(request: HttpRequest, album_id: int, asset_id: int) -> Done:
    """The picture by which an album is shown."""
    album_update(album=_album(request, album_id), user=member(request), cover_id=asset_id)
    return Done(said="That is the cover now.")


def _album(request: HttpRequest, album_id: int) -> Album:
    try:
        return album_get(user=member(request), album_id=album_id)
    except Album.DoesNotExist:
        raise Http404 from None


def _page(request: HttpRequest) -> int:
    asked = request.GET.get("page", "1")
    return int(asked) if asked.isdecimal() and 0 < len(asked) < 6 and 0 < int(asked) < _MOST_PAGES else 1
