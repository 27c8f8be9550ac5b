"""Who did what, when, and from where, as far as one may read it."""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from dam.assets.history import HistoryFilters, entries_visible_to
from dam.assets.models import Level
from dam.assets.selectors import collection_ids
from dam.library.history_page_words import KINDS, lines_of
from dam.library.policy import member, member_page

PAGE_SIZE = 60
_FILTERS = ("actor", "kind", "since", "until")


@require_safe
@member_page
def history(request: HttpRequest) -> HttpResponse:
    """A page of acts, the newest first."""
    user = member(request)
    asked = {name: request.GET.get(name, "").replace("\0", "").strip() for name in _FILTERS}
    problem = ""
    days: dict[str, date | None] = {}
    for name in ("since", "until"):
        days[name] = _day(asked[name])
        if asked[name] and days[name] is None:
            problem = f"“{asked[name]}” is no date: write it like 2026-05-03."
    entries = entries_visible_to(
        user=user,
        filters=HistoryFilters(
            actor=asked["actor"],
            object_type=asked["kind"] if asked["kind"] in KINDS else "",
            since=days["since"],
            until=days["until"],
        ),
    )
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        entries = entries.filter(pk__lt=int(before))
    found = list(entries[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    kept = {name: value for name, value in asked.items() if value}
    managed = collection_ids(user, Level.MANAGE)
    context = {
        "section": "history",
        "lines": lines_of(shown, user=user),
        "asked": asked,
        "filtered": bool(kept),
        "kinds": KINDS,
        "problem": problem,
        "reads": "all" if managed is None else "managed" if managed else "own",
        "more": "?" + urlencode(kept | {"before": shown[-1].pk}) if len(found) > PAGE_SIZE else "",
    }
    return render(request, "library/history.html", context)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
