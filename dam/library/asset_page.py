"""The page of one picture, and what people decide there."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from dam.assets.albums import albums_of, albums_visible_to, may_edit_album
from dam.assets.models import Asset, Level
from dam.assets.replays import asset_replay
from dam.assets.rights import LICENCES, licence_name, mark_of
from dam.assets.selectors import assets_downloadable_by, can, can_change
from dam.assets.tree import collection_path
from dam.library.asset_page_acts import stamp_of
from dam.library.chips import search_address
from dam.library.facts import facts_of
from dam.library.policy import member, member_page
from dam.library.selectors import claims_with_people, previews_of, waiting_for
from dam.library.wall import asked, context_of
from dam.search.language import SearchError
from dam.search.selectors import asset_get, neighbours, rejected_claims, shown_claims
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make, decision_withdraw, tag_get_or_create

_SAID = {"accepted": "Accepted", "rejected": "Rejected", "withdrawn": "Undone for"}


@require_safe
@member_page
def asset(request: HttpRequest, asset_id: int) -> HttpResponse:
    """A picture with its tags and facts, and its neighbours in the search that the address carries."""
    found = _asset(request, asset_id)
    query, sort = asked(request)
    try:
        beside = neighbours(user=member(request), query=query, sort=sort, asset=found)
    except SearchError:
        query, beside = "", neighbours(user=member(request), query="", sort=sort, asset=found)
    search = context_of(query, sort)
    previews = previews_of(user=member(request), ids=[pk for pk in (beside.previous, beside.next) if pk])
    context = _claims_context(request, found) | {
        "section": "library",
        "query": query,
        "sort": sort,
        "context": search,
        "back": reverse("library") + search,
        "previous": reverse("asset", args=[beside.previous]) + search if beside.previous else "",
        "next": reverse("asset", args=[beside.next]) + search if beside.next else "",
        "previous_preview": previews.get(beside.previous),
        "next_preview": previews.get(beside.next),
        "facts": facts_of(found),
        "waiting": waiting_for(found) if found.state == Asset.State.PENDING else "",
        **_place_and_rights(request, found),
    }
    return render(request, "library/asset.html", context)


@require_POST
@member_page
def decide(request: HttpRequest, asset_id: int) -> HttpResponse:
    """Accept, reject or withdraw for the tag ``tag``, or add the one called ``name``."""
    found = _changeable(request, asset_id)
    problem = ""
    if "name" in request.POST:
        said, problem = _add(request, found, request.POST["name"])
    else:
        said = _decide(request, found, request.POST.get("tag", ""), request.POST.get("verdict", ""))
    if not getattr(request, "htmx", False) and not problem:
        return redirect(_address(request, asset_id))
    query, sort = asked(request)
    # Loaded anew: the decision changed the claims.
    context = _claims_context(request, _asset(request, asset_id)) | {
        "problem": problem,
        "context": context_of(query, sort),
        "open_rejected": request.POST.get("verdict") == "withdrawn",
    }
    response = render(request, "library/parts/claims.html", context)
    return trigger_client_event(response, "vitrine:said", {"text": said}) if said else response


@require_POST
@member_page
def retry(request: HttpRequest, asset_id: int) -> HttpResponse:
    """Issue a new job for a picture that failed."""
    found = _changeable(request, asset_id)
    asset_replay(asset=found)
    return redirect(_address(request, asset_id))


def _asset(request: HttpRequest, asset_id: int) -> Asset:
    try:
        return asset_get(user=member(request), asset_id=asset_id)
    except Asset.DoesNotExist:
        raise Http404 from None


def _changeable(request: HttpRequest, asset_id: int) -> Asset:
    found = _asset(request, asset_id)
    if not can_change(member(request), found):
        raise PermissionDenied
    return found


def _address(request: HttpRequest, asset_id: int) -> str:
    query, sort = asked(request)
    return reverse("asset", args=[asset_id]) + context_of(query, sort)


def _place_and_rights(request: HttpRequest, found: Asset) -> dict[str, Any]:
    """Where it lives, what belongs with it, how it may be used, and what this person may do with it."""
    user = member(request)
    albums = list(albums_of(user=user, asset=found))
    held = {album.pk for album in albums}
    own = [album for album in albums_visible_to(user) if may_edit_album(user, album)]
    return {
        "collection_path": collection_path(user=user, collection=found.collection),
        "albums": [(album, may_edit_album(user, album)) for album in albums],
        "other_albums": [album for album in own if album.pk not in held],
        "mark": mark_of(found),
        "licence_name": licence_name(found.licence),
        "licence_address": search_address(query=f'licence:"{found.licence}"'),
        "licences": LICENCES,
        "releases": Asset.Release.choices,
        "stamp": stamp_of(found),
        "curates": can(user, Level.CURATE, found),
        "may_download": assets_downloadable_by(user).filter(pk=found.pk).exists(),
    }


def _claims_context(request: HttpRequest, found: Asset) -> dict[str, Any]:
    shown, rejected = shown_claims(found), rejected_claims(found)
    claims_with_people([*shown, *rejected])
    own = [
        (claim.decided_at, claim.pk, claim)
        for claim in rejected
        if claim.decided_at and claim.decided_by_id == member(request).pk
    ]
    return {
        "asset": found,
        "shown": shown,
        "rejected": rejected,
        # What the key z takes back: one's own word only, and the newest.
        "undo": max(own)[2] if own else None,
        "may_change": can_change(member(request), found),
    }


def _add(request: HttpRequest, found: Asset, name: str) -> tuple[str, str]:
    """What was done, and what was wrong with the name; one of them is empty."""
    try:
        tag, _ = tag_get_or_create(name=name, user=member(request))
    except ValueError as error:
        return "", str(error).capitalize() + "."
    decision_make(asset=found, tag=tag, verdict=Decision.Verdict.ADDED, user=member(request))
    return f"Added {tag.name}", ""


def _decide(request: HttpRequest, found: Asset, slug: str, verdict: str) -> str:
    if verdict not in _SAID or "\0" in slug:
        raise Http404
    tag = get_object_or_404(Tag, slug=slug)
    if verdict == "withdrawn":
        decision_withdraw(asset=found, tag=tag, user=member(request))
    else:
        decision_make(asset=found, tag=tag, verdict=Decision.Verdict(verdict), user=member(request))
    return f"{_SAID[verdict]} {tag.name}"
