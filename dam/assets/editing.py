"""What people write about pictures: texts, rights, and where they live."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from dam.assets.collections import level_required
from dam.assets.editing_checks import (
    assets_hold,
    assets_told,
    changeable_required,
    clean_text,
)
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset, Level
from dam.assets.models import Collection as Place
from dam.assets.selectors import assets_visible_to
from dam.assets.words import asset_words_write

_WORDS = frozenset({"title", "description"})
RIGHTS = ("licence", "copyright_holder", "credit", "release_status", "expires_on", "embargo_until")
"""The fields that say how a picture may be used."""
EDITABLE = ("title", "description", *RIGHTS)
"""All fields that people edit."""


def asset_update(*, asset: Asset, user: User, **changes: Any) -> Asset:
    """Change what people wrote about a picture; see :data:`EDITABLE`. Dates are dates, or None.

    Raises:
        Asset.DoesNotExist: the person may not see it.
        NotAllowedError: they neither curate its collection nor contributed it.
        InvalidChangeError: a value is not right; ``field`` says which.
    """
    (changed,) = assets_update(asset_ids=[asset.pk], user=user, **changes)
    return changed


def assets_update(*, asset_ids: Collection[int], user: User, **changes: Any) -> list[Asset]:
    """The same change to several pictures, in one transaction: to all of them, or to none.

    Returns:
        All of them as they are now, in the order of their ids.

    Raises:
        Asset.DoesNotExist, NotAllowedError, InvalidChangeError: as for one.
    """
    wanted = changes_clean(changes)
    with transaction.atomic():
        assets = assets_hold(assets_visible_to(user), asset_ids)
        changeable_required(user, assets)
        return _write(assets, user, wanted)


def changes_clean(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are to be stored.

    Raises:
        InvalidChangeError: no such field, or one of the values is not right.
    """
    unknown = sorted(changes.keys() - _CLEAN.keys())
    if unknown:
        raise InvalidChangeError(f"“{unknown[0]}” is not edited.", field=unknown[0], code="unknown-field")
    return {field: _CLEAN[field](field, value) for field, value in changes.items()}


def _write(assets: list[Asset], user: User, wanted: Mapping[str, Any]) -> list[Asset]:
    differing: dict[int, dict[str, Any]] = {}
    now = timezone.now()
    for asset in assets:
        before = {field: getattr(asset, field) for field in wanted}
        differing[asset.pk] = {
            field: [_json(before[field]), _json(value)]
            for field, value in wanted.items()
            if before[field] != value
        }
        for field, value in wanted.items():
            setattr(asset, field, value)
        _dates_required(asset, wanted)
    changed = [asset for asset in assets if differing[asset.pk]]
    if not changed:
        return assets
    for asset in changed:
        asset.updated_at = now
    Asset.objects.filter(pk__in=[asset.pk for asset in changed]).update(**wanted, updated_at=now)
    respelt = [asset.pk for asset in changed if _WORDS & differing[asset.pk].keys()]
    if respelt:
        asset_words_write(asset_ids=respelt)
    assets_told(user=user, action="asset.edit", assets=changed, changes=lambda asset: differing[asset.pk])
    return assets


def assets_move(*, asset_ids: Collection[int], collection: Place, user: User) -> int:
    """Put pictures into another collection, whose grants hold from then on; returns how many moved.

    Raises:
        Asset.DoesNotExist: the person may not see one of them.
        Collection.DoesNotExist: they may not see the collection.
        NotAllowedError: they may not change one of them, or may not contribute to the collection.
    """
    with transaction.atomic():
        # The collection stays while pictures come: whoever deletes it looks first whether it is empty.
        target: Place = Place.objects.select_for_update(no_key=True, of=("self",)).get(pk=collection.pk)
        level_required(user, target, Level.CONTRIBUTE, "put pictures there")
        assets = assets_hold(assets_visible_to(user), asset_ids)
        changeable_required(user, assets)
        moving = [asset for asset in assets if asset.collection_id != target.pk]
        # Told of where they lay. The collections' names are not: who reads it may not know both.
        assets_told(
            user=user,
            action="asset.move",
            assets=moving,
            changes=lambda asset: {"collection": [asset.collection_id, target.pk]},
        )
        Asset.objects.filter(pk__in=[asset.pk for asset in moving]).update(
            collection=target, updated_at=timezone.now()
        )
    return len(moving)


# ------------------------------------------------------------------- values


def _line(called: str, longest: int) -> Callable[[str, object], str]:
    """A text of one line: white space inside, line breaks included, is a blank."""

    def clean(field: str, value: object) -> str:
        text = " ".join(value.split()) if isinstance(value, str) else value
        return clean_text(text, field=field, called=called, longest=longest)

    return clean


def _release(field: str, value: object) -> str:
    if not isinstance(value, str) or value not in {"", *Asset.Release.values}:
        raise InvalidChangeError("There is no such release status.", field=field)
    return value


def _date(field: str, value: object) -> date | None:
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        raise InvalidChangeError("A date is wanted, or none.", field=field)
    return value


def _dates_required(asset: Asset, wanted: Mapping[str, Any]) -> None:
    if asset.expires_on is None or asset.embargo_until is None:
        return
    if asset.embargo_until > asset.expires_on and wanted.keys() & {"expires_on", "embargo_until"}:
        field = "embargo_until" if "embargo_until" in wanted else "expires_on"
        raise InvalidChangeError(
            f"“{asset}” would expire before its embargo ends: it could never be used.", field=field
        )


_CLEAN: Mapping[str, Callable[[str, object], Any]] = {
    "title": _line("The title", 255),
    "description": lambda field, value: clean_text(
        value, field=field, called="The description", longest=20_000
    ),
    "licence": _line("The licence", 60),
    "copyright_holder": _line("The copyright holder", 200),
    "credit": _line("The credit line", 200),
    "release_status": _release,
    "expires_on": _date,
    "embargo_until": _date,
}


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
