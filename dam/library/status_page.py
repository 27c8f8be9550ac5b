"""The page *Status*, for staff: whether all is well, and otherwise what is wrong and since when."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_htmx.http import trigger_client_event

from dam.library.figures import share
from dam.library.models_words import heard_text
from dam.library.policy import member, member_page, page
from dam.library.status_facts import Facts, facts_read
from dam.library.status_integrity import integrity_panel
from dam.library.status_verdict import Trouble, troubles_of
from dam.library.status_words import (
    failed_rows,
    letter_rows,
    place_rows,
    queue_rows,
    round_rows,
    waiting_ages,
)


@require_safe
@member_page
def status(request: HttpRequest) -> HttpResponse:
    """How the whole of it is, for staff."""
    if not member(request).is_staff:
        raise PermissionDenied("The state of the system is shown to staff.")
    return render(request, "library/status.html", {"section": "status", **_context(facts_read())})


@require_safe
@page
def live(request: HttpRequest) -> HttpResponse:
    """The page's content, drawn anew.

    Whoever is signed out meanwhile gets nothing, so that a page that asks by itself stays as it is. A verdict
    that changed since the page saw one is said aloud.
    """
    user = request.user
    if not isinstance(user, User) or not user.is_staff:
        return HttpResponse(status=204)
    context = _context(facts_read())
    response = render(request, "library/parts/status_live.html", context)
    if request.GET.get("seen") not in {None, context["seen"]}:
        trigger_client_event(response, "vitrine:said", {"text": context["headline"]})
    return response


def _context(facts: Facts) -> dict[str, Any]:
    troubles = troubles_of(facts)
    headline = _headline(facts, troubles)
    return {
        "facts": facts,
        "troubles": troubles,
        "headline": headline,
        "seen": _mark(troubles),
        "assets": facts.state.assets,
        "oldest_s": max(facts.state.jobs.oldest_s.values(), default=0.0),
        "waiting_ages": waiting_ages(facts),
        "reasons": sorted(facts.state.assets.failed_by_reason.items(), key=lambda item: -item[1]),
        "open_jobs": sorted(facts.state.jobs.counts.items()),
        "queues": queue_rows(facts),
        "broker_problem": facts.queues.trouble,
        "rollout": facts.rollout,
        "canary": share(facts.rollout.canary_share),
        "shadow": share(facts.rollout.shadow_share),
        "controller": heard_text(facts.rollout.reported_at, now=facts.state.read_at),
        "rounds": round_rows(facts),
        "places": place_rows(facts),
        "integrity": integrity_panel(facts.integrity, now=facts.state.read_at),
        "connections": sum(facts.database.connections.values()),
        "failed_jobs": failed_rows(list(facts.failed_jobs)),
        "dead_letters": letter_rows(list(facts.dead_letters)),
    }


def _headline(facts: Facts, troubles: list[Trouble]) -> str:
    if troubles:
        return troubles[0].text
    pending = facts.state.assets.pending
    if not pending:
        return "All is well."
    return f"All is well; {pending:,} picture{'' if pending == 1 else 's'} on the way."


def _mark(troubles: list[Trouble]) -> str:
    """What the verdict is about, without the numbers and times that change all the while."""
    return ".".join(f"{trouble.place}-{trouble.level}" for trouble in troubles) or "well"
