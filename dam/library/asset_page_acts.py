"""What people do with one picture besides deciding on its tags: edit, move, replace, throw away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from dam.assets.editing import EDITABLE, asset_update, assets_move
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset
from dam.assets.selectors import assets_visible_to
from dam.assets.trash import assets_trash
from dam.assets.tree import collection_get
from dam.assets.versions import version_restore
from dam.library.acting import ConflictError, Done, act, posted_id, posted_text
from dam.library.policy import member
from dam.library.wall import asked, context_of

_DATES = frozenset({"expires_on", "embargo_until"})
_CALLED = {
    "title": "title",
    "description": "description",
    "licence": "licence",
    "copyright_holder": "copyright holder",
    "credit": "credit line",
    "release_status": "release",
    "expires_on": "last day",
    "embargo_until": "first day",
}


def stamp_of(asset: Asset) -> str:
    """What tells one state of the edited fields from another; what machines write does not change it."""
    values = [str(getattr(asset, field)) for field in EDITABLE]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32]


@act
def edit(request: HttpRequest, asset_id: int) -> Done:
    """Texts and rights, as the form holds them; refused if somebody changed them since it was shown."""
    wanted = {field: _value(request, field) for field in EDITABLE if field in request.POST}
    with transaction.atomic():
        held = assets_visible_to(member(request)).select_for_update(of=("self",), no_key=True)
        asset = held.get(pk=asset_id)
        now = stamp_of(asset)
        if now not in {request.POST.get("stamp", ""), request.POST.get("anyway", "")}:
            raise ConflictError(_differing(asset, wanted), stamp=now)
        asset_update(asset=asset, user=member(request), **wanted)
    return Done(said="Saved.")


@act
def move(request: HttpRequest, asset_id: int) -> Done:
    """Put it into another collection, whose grants hold for it from then on."""
    wanted = posted_id(request, "collection")
    if wanted is None:
        raise InvalidChangeError("Choose where it goes.", field="collection")
    target = collection_get(user=member(request), collection_id=wanted)
    assets_move(asset_ids=[asset_id], collection=target, user=member(request))
    return Done(said=f"It lies in “{target}” now.")


@act
def trash(request: HttpRequest, asset_id: int) -> Done:
    """Put it into the trash, and go back to where it was found."""
    assets_trash(asset_ids=[asset_id], user=member(request))
    query, sort = asked(request)
    return Done(said="It is in the trash.", go=reverse("library") + context_of(query, sort))


@act
def restore_version(request: HttpRequest, asset_id: int, number: int) -> Done:
    """Let an earlier file be the current one again; it becomes the newest of the history."""
    asset = assets_visible_to(member(request)).get(pk=asset_id)
    version_restore(asset=asset, number=number, user=member(request))
    return Done(said=f"Version {number} is the picture again.")


def _value(request: HttpRequest, field: str) -> Any:
    text = posted_text(request, field)
    if field not in _DATES:
        return text
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidChangeError("That is no date.", field=field) from None


def _differing(asset: Asset, wanted: Mapping[str, Any]) -> str:
    theirs = [
        f"{_CALLED[field]} “{getattr(asset, field) or 'none'}”"
        for field, value in wanted.items()
        if getattr(asset, field) != value
    ]
    stands = f" It has {', '.join(theirs)} now." if theirs else ""
    return f"Somebody changed this while you were editing.{stands}"
