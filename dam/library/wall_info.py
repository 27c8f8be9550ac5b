"""What is known of one picture, for the panel beside the wall and in the lightbox."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.assets.models import Asset
from dam.assets.rights import mark_of
from dam.assets.selectors import can_change
from dam.assets.tree import collection_path
from dam.library.facts import facts_of
from dam.library.policy import member, member_page
from dam.library.wall import asked, context_of, with_reasons
from dam.search.compile import read_query
from dam.search.language import SearchError
from dam.search.selectors import asset_get, shown_claims


@require_safe
@member_page
def info(request: HttpRequest, asset_id: int) -> HttpResponse:
    """Tags, rights and facts of a picture, and why the search in the address found it."""
    user = member(request)
    try:
        found = asset_get(user=user, asset_id=asset_id)
    except Asset.DoesNotExist:
        raise Http404 from None
    query, sort = asked(request)
    try:
        (found,) = with_reasons([found], reading=read_query(query, user=user))
    except SearchError:
        query = ""
        (found,) = with_reasons([found], reading=None)
    return render(
        request,
        "library/parts/info.html",
        {
            "asset": found,
            "tags": shown_claims(found),
            "facts": facts_of(found),
            "mark": mark_of(found),
            "places": collection_path(user=user, collection=found.collection),
            "page": reverse("asset", args=[found.pk]) + context_of(query, sort),
            "may_change": can_change(user, found),
        },
    )
