"""The pages for looking and finding. What they read comes from selectors; what they write, from services."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.library import selectors
from dam.library.chips import chips_of, search_address
from dam.library.policy import member, member_page
from dam.library.wall import (
    PAGE_SIZE,
    asked,
    by_likeness,
    context_of,
    cursor_asked,
    sort_choices,
    with_reasons,
)
from dam.search.language import SearchError
from dam.search.paging import CursorError
from dam.search.saved import recent_search_note
from dam.search.selectors import assets_by_id, count_assets, search_assets
from dam.search.timeline import TIMED

POLL_LIMIT = 100


@require_safe
@member_page
def library(request: HttpRequest) -> HttpResponse:
    """The pictures that a query finds, page by page; ``fragment`` asks for the cards of a page alone."""
    query, sort = asked(request)
    user, cursor = member(request), cursor_asked(request, sort)
    try:
        found = search_assets(user=user, query=query, sort=sort, cursor=cursor, limit=PAGE_SIZE)
    except SearchError as error:
        return _not_understood(request, query, sort, error)
    except CursorError:
        return HttpResponseRedirect(reverse("library") + search_address(query=query, sort=sort))

    def page_address(cursor: str | None) -> str:
        return reverse("library") + search_address(query=query, sort=sort, cursor=cursor) if cursor else ""

    context: dict[str, Any] = {
        "section": "library",
        "query": query,
        "sort": sort,
        "cards": with_reasons(found.assets, reading=found.reading),
        "context": context_of(query, sort),
        "more": page_address(found.next_cursor),
        "earlier": page_address(found.previous_cursor),
        "long": cursor is not None,
    }
    if "fragment" in request.GET:
        return render(request, "library/parts/page.html", context)
    if query and not cursor and request.method == "GET":
        recent_search_note(user=user, query=query)
    search, sorts = search_address(query=query, sort=sort), sort_choices(query, sort)
    timed = sort in TIMED and not by_likeness(query, sort)
    context |= {
        "empty": not found.assets and not query and not cursor,
        "count": count_assets(user=user, query=query),
        "chips": chips_of(query, sort=sort),
        "notices": found.notices,
        "sort_label": next(each.label for each in sorts if each.current),
        "sorts": sorts,
        "facets_address": reverse("library-facets") + search,
        "timeline_address": reverse("library-timeline") + search if timed else "",
    }
    return render(request, "library/library.html", context)


def _not_understood(request: HttpRequest, query: str, sort: str, error: SearchError) -> HttpResponse:
    place = error.column - 1 if error.column else len(query)
    return render(
        request,
        "library/library.html",
        {
            "section": "library",
            "query": query,
            "sort": sort,
            "error": error,
            "before": query[:place],
            "at": query[place : place + 1],
            "after": query[place + 1 :],
        },
    )


@require_safe
@member_page
def cards(request: HttpRequest) -> HttpResponse:
    """The cards of the assets named by ``ids``, for pages that wait for their tags.

    With ``settled``, only of those that are not pending any more.
    """
    ids = [int(part) for part in request.GET.get("ids", "").split(",") if part.isdecimal() and len(part) < 19]
    query, sort = asked(request)
    found = assets_by_id(user=member(request), ids=ids[:POLL_LIMIT])
    if "settled" in request.GET:
        found = [asset for asset in found if asset.state != asset.State.PENDING]
    return render(request, "library/parts/cards.html", {"cards": found, "context": context_of(query, sort)})


@require_safe
@member_page
def tags(request: HttpRequest) -> HttpResponse:
    """The tags that occur in the library."""
    overview = selectors.tags_in_use(user=member(request))
    return render(
        request,
        "library/tags.html",
        {
            "section": "tags",
            "covers": overview.covers,
            "groups": overview.groups,
            "sampled": overview.sampled,
        },
    )


@require_safe
@member_page
def try_it(request: HttpRequest) -> HttpResponse:
    """A picture's tags without keeping the picture."""
    return render(request, "library/try.html", {"section": "try"})


@require_safe
def favicon(_request: HttpRequest) -> HttpResponse:
    """Where browsers look for the icon of what is no page, such as a picture opened by itself."""
    return HttpResponseRedirect(static("library/favicon.svg"))
