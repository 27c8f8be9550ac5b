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
from dam.search.language import SearchError
from dam.search.paging import SORTS, CursorError
from dam.search.selectors import count_assets, search_assets

PAGE_SIZE = 60
POLL_LIMIT = 100


def asked(request: HttpRequest) -> tuple[str, str]:
    """The query and the sort that an address carries; an unknown sort is the default one."""
    sort = request.GET.get("sort", "")
    return request.GET.get("q", "").strip(), sort if sort in SORTS else "newest"


def context_of(query: str, sort: str) -> str:
    """What addresses of assets carry of the search that they were found by; empty without one."""
    address = search_address(query=query, sort=sort)
    return "" if address == "?" else address


@require_safe
@member_page
def library(request: HttpRequest) -> HttpResponse:
    """The pictures that a query finds, page by page; ``fragment`` asks for the cards of a page alone."""
    query, sort = asked(request)
    cursor = request.GET.get("cursor")
    try:
        found = search_assets(user=member(request), query=query, sort=sort, cursor=cursor, limit=PAGE_SIZE)
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
        "cards": found.assets,
        "context": context_of(query, sort),
        "more": page_address(found.next_cursor),
        "long": cursor is not None,
    }
    if "fragment" in request.GET:
        return render(request, "library/parts/page.html", context)
    context |= {
        "empty": not found.assets and not query and not cursor,
        "earlier": page_address(found.previous_cursor),
        "count": count_assets(user=member(request), query=query),
        "chips": chips_of(query, sort=sort),
        "notices": found.notices,
        "sort_label": SORTS[sort].label,
        "sorts": [
            {"label": item.label, "current": name == sort, "address": search_address(query=query, sort=name)}
            for name, item in SORTS.items()
        ],
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
    found = selectors.assets_by_id(user=member(request), ids=ids[:POLL_LIMIT])
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
