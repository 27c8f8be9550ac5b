"""What changes of pictures have in common: who may, what a text may be, what is written down."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Level
from dam.assets.selectors import Person, levels_in
from dam.audit.services import Target, audit_record

AT_ONCE = 10_000
"""The most pictures that one act changes."""


def assets_hold(rows: QuerySet[Asset], asset_ids: Collection[int]) -> list[Asset]:
    """Lock these assets until the caller's transaction ends, in the order of their ids.

    All who lock several do it so: nobody waits in a circle.

    Raises:
        InvalidChangeError: they are too many for one act.
        Asset.DoesNotExist: one of them is not among ``rows``.
    """
    wanted = set(asset_ids)
    if len(wanted) > AT_ONCE:
        raise InvalidChangeError(
            f"At most {AT_ONCE:,} pictures are changed at once.", field="asset_ids", code="too-many"
        )
    ids = sorted(rows.filter(pk__in=wanted).values_list("pk", flat=True))
    if len(ids) != len(wanted):
        raise Asset.DoesNotExist
    held = Asset.objects.select_for_update(no_key=True, of=("self",)).filter(pk__in=ids).defer("words")
    found = list(held.order_by("pk"))
    # Somebody may have moved or trashed one before the lock was ours.
    if rows.filter(pk__in=ids).count() != len(found):
        raise Asset.DoesNotExist
    return found


def changeable_among(user: Person, assets: Iterable[Asset], *, own: bool = True) -> set[int]:
    """Ids of those that a person may change: where they curate, and, with ``own``, what they contributed."""
    assets = list(assets)
    levels = levels_in(user, {asset.collection_id for asset in assets})
    return {
        asset.pk
        for asset in assets
        if (level := levels.get(asset.collection_id)) is not None
        and (
            level >= Level.CURATE
            or (
                own
                and level >= Level.CONTRIBUTE
                and asset.uploaded_by_id is not None
                and asset.uploaded_by_id == user.pk
            )
        )
    }


def changeable_required(user: Person, assets: Collection[Asset]) -> None:
    """Make sure that a person may change all of these.

    Raises:
        NotAllowedError: not one of them.
    """
    allowed = changeable_among(user, assets)
    refused = [asset for asset in assets if asset.pk not in allowed]
    if refused:
        raise NotAllowedError(
            f"You may not change “{refused[0]}”: who curates its collection may, and who uploaded it."
            if len(refused) == 1
            else f"You may not change {len(refused):,} of these pictures: who curates their collection may, "
            "and who uploaded them."
        )


def clean_text(value: object, *, field: str, called: str, longest: int, required: bool = False) -> str:
    """A text as people typed it, without white space around it.

    Raises:
        InvalidChangeError: no text, too long, or with a character that no database keeps.
    """
    if not isinstance(value, str):
        raise InvalidChangeError(f"{called} is a text.", field=field)
    text = value.strip()
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidChangeError(f"{called} holds a character that is none.", field=field)
    if required and not text:
        raise InvalidChangeError(f"{called} is missing.", field=field, code="required")
    if len(text) > longest:
        raise InvalidChangeError(
            f"{called} has at most {longest:,} characters.", field=field, code="too-long"
        )
    return text


def clean_name(value: object, *, field: str = "name", called: str = "The name", longest: int = 200) -> str:
    """A name of one line; white space inside counts once.

    Raises:
        InvalidChangeError: see :func:`clean_text`; or it is empty.
    """
    if isinstance(value, str):
        value = " ".join(value.split())
    return clean_text(value, field=field, called=called, longest=longest, required=True)


def assets_told(
    *,
    user: User | None,
    action: str,
    assets: Iterable[Asset],
    changes: Callable[[Asset], Mapping[str, Any]] | None = None,
) -> None:
    """Write down one act on each of these assets, where they lie as they are given."""
    audit_record(
        actor=user,
        action=action,
        targets=[
            Target("asset", asset.pk, str(asset), asset.collection_id, changes(asset) if changes else None)
            for asset in assets
        ],
    )
