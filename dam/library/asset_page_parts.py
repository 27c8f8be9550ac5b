"""Parts of the page of a picture that are loaded after it: what looks like it, its files, what was done."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dam.assets.history import entries_of
from dam.assets.models import Asset
from dam.assets.selectors import assets_visible_to, can_change
from dam.assets.versions import versions_of
from dam.library.chips import search_address
from dam.library.history_page_words import lines_of
from dam.library.policy import member, member_page
from dam.search.selectors import similar_assets

LIKE_IT = 12
ENTRIES = 30


@require_safe
@member_page
def similar(request: HttpRequest, asset_id: int) -> HttpResponse:
    """The pictures that look most like it."""
    user, found = member(request), _asset(request, asset_id)
    alike = similar_assets(user=user, asset_id=found.pk, limit=LIKE_IT)
    context = {
        "similar": [asset for asset, _ in alike],
        "context": search_address(query=f"similar:{found.pk}"),
    }
    return render(request, "library/parts/asset_similar.html", context)


@require_safe
@member_page
def versions(request: HttpRequest, asset_id: int) -> HttpResponse:
    """Its files, the newest first."""
    found = _asset(request, asset_id)
    context = {
        "asset": found,
        "versions": versions_of(asset=found, user=member(request)),
        "may_change": can_change(member(request), found),
    }
    return render(request, "library/parts/asset_versions.html", context)


@require_safe
@member_page
def history(request: HttpRequest, asset_id: int) -> HttpResponse:
    """Who did what to it, the newest first."""
    found, user = _asset(request, asset_id), member(request)
    entries = list(entries_of(user=user, object_type="asset", object_id=found.pk)[:ENTRIES])
    return render(
        request, "library/parts/asset_history.html", {"lines": lines_of(entries, user=user), "own_page": True}
    )


def _asset(request: HttpRequest, asset_id: int) -> Asset:
    try:
        return assets_visible_to(member(request)).select_related("collection").get(pk=asset_id)
    except Asset.DoesNotExist:
        raise Http404 from None
