"""Searches that people keep: the list, and what the search field offers before anything is typed."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dam.assets.errors import InvalidChangeError
from dam.library.chips import search_address
from dam.library.policy import member, member_page
from dam.search.language_fields import suggest_fields
from dam.search.models import SavedSearch
from dam.search.paging import SORTS
from dam.search.saved import (
    recent_searches,
    recent_searches_forget,
    search_delete,
    search_save,
    search_update,
    searches_visible_to,
)

_OFFERED = 6
_LONGEST = 100


@require_safe
@member_page
def searches(request: HttpRequest) -> HttpResponse:
    """One's own saved searches and those that others share, and what one searched for lately."""
    return _page(request)


def _page(request: HttpRequest, *, problem: str = "", status: int = 200) -> HttpResponse:
    user = member(request)
    found = list(searches_visible_to(user).select_related("owner"))
    context = {
        "section": "searches",
        "own": [_entry(each) for each in found if each.owner_id == user.pk],
        "shared": [_entry(each) for each in found if each.owner_id != user.pk],
        "recent": [
            {"query": each.query, "at": each.at, "address": _address(each.query)}
            for each in recent_searches(user)
        ],
        "problem": problem,
    }
    return render(request, "library/searches.html", context, status=status)


@require_safe
@member_page
def menu(request: HttpRequest) -> HttpResponse:
    """What the search field offers beside tags, as JSON: filters for what is typed (``q``).

    As long as nothing is typed: saved searches by name, then recent ones.
    """
    user, typed = member(request), request.GET.get("q", "").strip()
    if typed:
        fields = suggest_fields(typed[:_LONGEST])
        return JsonResponse(
            {
                "fields": [
                    {"term": each.term, "meaning": each.meaning, "example": each.example} for each in fields
                ]
            }
        )
    saved = searches_visible_to(user)[:_OFFERED]
    return JsonResponse(
        {
            "saved": [
                {"name": each.name, "query": each.query, "address": _address(each.query, each.sort)}
                for each in saved
            ],
            "recent": [
                {"query": each.query, "address": _address(each.query)}
                for each in recent_searches(user)[:_OFFERED]
            ],
        }
    )


@require_POST
@member_page
def save(request: HttpRequest) -> HttpResponse:
    """Keep the search ``q`` under a name; of the same name there is one, so it is saved anew."""
    sort = request.POST.get("sort", "")
    try:
        search_save(
            user=member(request),
            name=request.POST.get("name", ""),
            query=request.POST.get("q", ""),
            sort=sort if sort in SORTS else "newest",
            shared="shared" in request.POST,
        )
    except InvalidChangeError as error:
        return _refused(request, str(error))
    return _done(request)


@require_POST
@member_page
def change(request: HttpRequest, search_id: int) -> HttpResponse:
    """Give a saved search another name, or share it or not."""
    found = _own(request, search_id)
    try:
        search_update(
            search=found,
            user=member(request),
            name=request.POST.get("name", found.name),
            shared="shared" in request.POST,
        )
    except InvalidChangeError as error:
        return _refused(request, str(error))
    return _done(request)


@require_POST
@member_page
def delete(request: HttpRequest, search_id: int) -> HttpResponse:
    """Forget a saved search; the pictures that it finds stay."""
    search_delete(search=_own(request, search_id), user=member(request))
    return _done(request)


@require_POST
@member_page
def forget(request: HttpRequest) -> HttpResponse:
    """Forget what one searched for lately."""
    recent_searches_forget(user=member(request))
    return _done(request)


def _own(request: HttpRequest, search_id: int) -> SavedSearch:
    """One of one's own; of others, those who manage searches do so in the administration."""
    found = searches_visible_to(member(request)).filter(pk=search_id, owner=member(request)).first()
    if found is None:
        raise Http404
    return found


def _done(request: HttpRequest) -> HttpResponse:
    """Nothing more to say to a dialog; the list to whoever sent the form by itself."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"ok": True})
    return redirect("searches")


def _refused(request: HttpRequest, problem: str) -> HttpResponse:
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"detail": problem}, status=400)
    return _page(request, problem=problem, status=400)


def _entry(search: SavedSearch) -> dict[str, object]:
    return {
        "search": search,
        "address": _address(search.query, search.sort),
        "sort_label": SORTS[search.sort].label if search.sort in SORTS and search.sort != "newest" else "",
    }


def _address(query: str, sort: str = "newest") -> str:
    return reverse("library") + search_address(query=query, sort=sort)
