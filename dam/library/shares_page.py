"""The links that a person made, and those to what they manage."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dam.library.policy import member, member_page
from dam.search.paging import CursorError, Sort, cursor_read, cursor_write, page_slice
from dam.sharing.models import Share
from dam.sharing.selectors import ShareState, can_edit, place_names, shares_visible_to, state_of
from dam.sharing.services import share_revoke

PAGE_SIZE = 50
_NEWEST = Sort("Newest first", descending=True)
_LIST = "shares-page"


@require_safe
@member_page
def shares(request: HttpRequest) -> HttpResponse:
    """All that the person may know of, the newest first; those that have ended, too."""
    user = member(request)
    cursor = request.GET.get("cursor")
    try:
        edge = cursor_read(_LIST, cursor) if cursor else None
    except CursorError:
        return redirect("shares")
    found = shares_visible_to(user).annotate(pictures=Count("entries"))
    page = page_slice(found, sort=_NEWEST, edge=edge, limit=PAGE_SIZE)
    names = place_names(user, page.rows)
    context = {
        "section": "shares",
        "rows": [_row(request, user, share, names[share.pk]) for share in page.rows],
        "next": _page_address(cursor_write(_LIST, page.next)),
        "previous": _page_address(cursor_write(_LIST, page.previous)),
    }
    return render(request, "library/shares.html", context)


@require_POST
@member_page
def revoke(request: HttpRequest, share_id: int) -> HttpResponse:
    """End a link for ever."""
    share = shares_visible_to(member(request)).filter(pk=share_id).first()
    if share is None:
        raise Http404
    share_revoke(share=share, user=member(request))
    return redirect("shares")


def _page_address(cursor: str | None) -> str:
    return f"{reverse('shares')}?cursor={cursor}" if cursor else ""


def _row(request: HttpRequest, user: User, share: Share, place: str) -> dict[str, Any]:
    state = state_of(share)
    return {
        "share": share,
        "state": state.value,
        "is_active": state is ShareState.ACTIVE,
        "what": _what(share, place),
        "url": request.build_absolute_uri(reverse("share-open", args=[share.key])),
        "may_edit": can_edit(user, share) and state is not ShareState.REVOKED,
        "is_own": share.created_by_id == user.pk,
    }


def _what(share: Share, place: str) -> str:
    if share.kind == Share.Kind.COLLECTION:
        return f"Collection {place}" if place else "A collection that you do not see any more"
    if share.kind == Share.Kind.ALBUM:
        return f"Album {place}" if place else "An album that you do not see any more"
    number: int = share.pictures  # type: ignore[attr-defined]  # counted by the query
    return f"{number:,} picture{'' if number == 1 else 's'}"
