"""The page *Models*: what serves, what is tried beside it, the evidence, and the way forth and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from dam.library.figures import share
from dam.library.models_comparison import comparison_shown
from dam.library.models_standing import standing_of
from dam.library.models_words import seen_text, step_line, watch_text
from dam.library.policy import P, View, member, member_page, page
from dam.rollout import selectors, services
from dam.rollout.errors import ConflictError
from dam.rollout.gate import judge
from dam.rollout.models import Rollout
from dam.rollout.serving import way_back
from dam.tagging.models import ModelVersion

_STEPS = 30
_REASON_LENGTH = 2000
_MANAGE = "rollout.manage_rollout"


def _may_see(user: User) -> bool:
    return user.is_staff or user.has_perm(_MANAGE)


def _action(view: View[P]) -> Callable[..., Any]:
    """A form of those who may manage the rollout."""

    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not member(request).has_perm(_MANAGE):
            raise PermissionDenied(
                "Model versions are managed by those whom an administrator gave that right."
            )
        return view(request, *args, **kwargs)

    return wraps(view)(require_POST(member_page(checked)))


@require_safe
@member_page
def models(request: HttpRequest) -> HttpResponse:
    """Everything about model versions, for staff and those who manage them."""
    user = member(request)
    if not _may_see(user):
        raise PermissionDenied("Model versions are shown to staff and to those who manage them.")
    return render(request, "library/models.html", _context(user))


@require_safe
@page
def standing(request: HttpRequest) -> HttpResponse:
    """What is under way, drawn anew.

    Whoever is signed out meanwhile gets nothing, so that a page that asks by itself stays as it is.
    """
    user = request.user
    if not isinstance(user, User) or not _may_see(user):
        return HttpResponse(status=204)
    found = standing_of(selectors.rollout_get(), seen=request.GET.get("seen"))
    over = "waiting" in request.GET and not found.busy
    response = render(request, "library/parts/models_standing.html", {"standing": found, "over": over})
    newest = selectors.steps_list(limit=1) if over else []
    for line in map(step_line, newest):
        trigger_client_event(response, "vitrine:said", {"text": ", ".join((line.text, *line.marks))})
    return response


@_action
def promote(request: HttpRequest) -> HttpResponse:
    """Ask for a promotion; ``force`` passes a gate that is shut, with a reason."""
    version = _version(request.POST.get("version", ""))
    force = "force" in request.POST
    reason = _reason(request)
    if force and not reason:
        return _back(request, problem="Say why it is to be promoted all the same.")

    def ask() -> str:
        services.promotion_ask(version=version, user=member(request), force=force, reason=reason)
        return f"Promotion of version {version.version} is asked for."

    return _try(request, ask)


@_action
def roll_back(request: HttpRequest) -> HttpResponse:
    """Withdraw the champion that the page showed."""
    version, reason = _version(request.POST.get("version", "")), _reason(request)
    if not reason:
        return _back(request, problem="Say why it is to be rolled back.")

    def ask() -> str:
        services.rollback(reason=reason, user=member(request), of=version)
        return f"Version {version.version} is rolled back."

    return _try(request, ask)


@_action
def share_set(request: HttpRequest, kind: str) -> HttpResponse:
    """Set the share of shadow or canary, given in percent."""
    try:
        part = float(request.POST.get("percent", "")) / 100
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        return _back(request, problem="A share is a number from 0 to 100.")

    def set_shadow() -> str:
        services.shadow_set(share=part, user=member(request))
        return f"The challenger sees {share(part)} of live traffic."

    def set_canary() -> str:
        reason = _reason(request)
        # Less of a canary needs no gate, so nothing is forced by it.
        force = bool(reason) and part > selectors.rollout_get().canary_share
        services.canary_set(share=part, user=member(request), force=force, reason=reason)
        return f"The challenger answers {share(part)} of live traffic."

    return _try(request, set_shadow if kind == "shadow" else set_canary)


@_action
def undo(request: HttpRequest, version_id: int) -> HttpResponse:
    """Undo a version; the champion is rolled back."""
    version, reason = get_object_or_404(ModelVersion, pk=version_id), _reason(request)
    if not reason:
        return _back(request, problem="Say why it is to be undone.")

    def ask() -> str:
        services.version_undo(version=version, user=member(request), reason=reason)
        return f"Version {version.version} is undone."

    return _try(request, ask)


@_action
def take_back(request: HttpRequest, version_id: int) -> HttpResponse:
    """Take an undoing back."""
    version = get_object_or_404(ModelVersion, pk=version_id)

    def ask() -> str:
        services.version_take_back(version=version, user=member(request))
        return f"The undoing of version {version.version} is taken back."

    return _try(request, ask)


def _version(pk: str) -> ModelVersion:
    if not pk.isdecimal() or len(pk) > 18:
        raise Http404
    return get_object_or_404(ModelVersion, pk=int(pk))


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\0", "").strip()[:_REASON_LENGTH]


def _try(request: HttpRequest, act: Callable[[], str]) -> HttpResponse:
    """Do it, and say on the page that it was done, or why not."""
    try:
        done = act()
    except ConflictError as error:
        return _back(request, problem=str(error))
    messages.success(request, done)
    return redirect("models")


def _back(request: HttpRequest, *, problem: str) -> HttpResponse:
    messages.error(request, problem)
    return redirect("models")


# ---------------------------------------------------------------- what it shows


def _context(user: User) -> dict[str, Any]:
    rollout = selectors.rollout_get()
    return {
        "section": "models",
        "may_manage": user.has_perm(_MANAGE),
        "standing": standing_of(rollout),
        "service": _service(rollout),
        "watch_hours": rollout.watch_hours,
        "steps": [step_line(step) for step in selectors.steps_list(limit=_STEPS)],
        "versions": _versions(rollout),
        **_trial(rollout, user),
    }


def _service(rollout: Rollout) -> dict[str, Any] | None:
    champion = rollout.champion
    if champion is None:
        return None
    other = way_back(rollout)
    return {
        "version": champion,
        "since": rollout.promoted_at,
        "way_back": other,
        "watch": watch_text(rollout, selectors.watch_standing(), now=timezone.now()),
        "nothing_answers": champion.withdrawn_at is not None and other is None,
    }


def _trial(rollout: Rollout, user: User) -> dict[str, Any]:
    """The challenger, and how it stands beside the champion."""
    champion, challenger, progress = rollout.champion, rollout.challenger, selectors.shadow_progress()
    if challenger is None or progress is None:
        return {}
    trial: dict[str, Any] = {
        "challenger": challenger,
        "challenged_at": rollout.challenged_at,
        "seen": seen_text(rollout, progress),
        "shares": {"shadow": f"{rollout.shadow_share * 100:g}", "canary": f"{rollout.canary_share * 100:g}"},
    }
    if champion is not None:
        compared = selectors.comparison_of(champion=champion, challenger=challenger, user=user)
        verdict = judge(compared, rollout)
        trial |= {
            "verdict": verdict,
            "comparison": comparison_shown(compared, rollout, user=user, notes=verdict.notes),
        }
    return trial


def _versions(rollout: Rollout) -> list[dict[str, Any]]:
    champion, other, asked = rollout.champion, way_back(rollout), selectors.step_asked()
    going = asked.version if asked else None
    # The only one that answers stays.
    last = champion if other is None else other if champion and champion.withdrawn_at else None
    return [
        {
            "standing": one,
            "serves": one.version == champion,
            "can_undo": one.version != last and one.version.withdrawn_at is None,
            "can_return": one.version != going and one.version.withdrawn_at is not None,
        }
        for one in selectors.versions_list()
    ]
