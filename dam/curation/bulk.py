"""One act on all that somebody selected: on those that they may, in one transaction; the others are named."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from dam.assets.albums import album_add, album_remove
from dam.assets.collections import level_required
from dam.assets.editing import assets_move, assets_update, changes_clean
from dam.assets.editing_checks import AT_ONCE, changeable_among
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Album, Asset, Level
from dam.assets.models import Collection as Place
from dam.assets.selectors import levels_in
from dam.assets.trash import assets_purge, assets_restorable_by, assets_restore, assets_trash
from dam.curation.selection import Selection, selection_ids
from dam.curation.tagging import decisions_make
from dam.tagging.models import Decision, Tag


@dataclass(frozen=True, slots=True)
class Refused:
    """A picture that was left as it was, and why, for people."""

    asset_id: int
    name: str
    """Empty: to this person there is no such picture."""
    code: str
    """``not-found`` or ``not-allowed``."""
    reason: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of a selection."""

    changed: int
    """Pictures that were changed, or were as they should be already."""
    refused: tuple[Refused, ...] = ()


def bulk_edit(*, user: User, selection: Selection, **changes: Any) -> BulkResult:
    """Write the same texts or rights on all; see :func:`dam.assets.editing.asset_update`.

    Raises:
        InvalidChangeError: a value is not right, or they are too many; nothing is changed.
    """
    changes_clean(changes)
    return _on_changeable(
        user, selection, lambda ids: len(assets_update(asset_ids=ids, user=user, **changes))
    )


def bulk_move(*, user: User, selection: Selection, collection: Place) -> BulkResult:
    """Put all into a collection.

    Raises:
        Collection.DoesNotExist: the person may not see it.
        NotAllowedError: they may not contribute to it.
        InvalidChangeError: they are too many.
    """
    level_required(user, collection, Level.CONTRIBUTE, "put pictures there")

    def move(ids: Collection[int]) -> int:
        assets_move(asset_ids=ids, collection=collection, user=user)
        return len(ids)

    return _on_changeable(user, selection, move)


def bulk_trash(*, user: User, selection: Selection) -> BulkResult:
    """Put all into the trash.

    Raises:
        InvalidChangeError: they are too many.
    """
    return _on_changeable(user, selection, lambda ids: assets_trash(asset_ids=ids, user=user))


def bulk_tag(*, user: User, selection: Selection, tag: Tag, verdict: Decision.Verdict | None) -> BulkResult:
    """Say the same of a tag on all; None withdraws what was said.

    Raises:
        InvalidChangeError: they are too many.
    """
    return _on_changeable(
        user,
        selection,
        lambda ids: decisions_make(asset_ids=ids, tag=tag, verdict=verdict, user=user),
    )


def bulk_album_add(*, user: User, selection: Selection, album: Album) -> BulkResult:
    """Put all into an album.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: they are too many.
        Album.DoesNotExist: the person does not know of it.
    """

    def add(ids: Collection[int]) -> int:
        album_add(album=album, asset_ids=ids, user=user)
        return len(ids)

    return _on_visible(user, selection, add)


def bulk_album_remove(*, user: User, selection: Selection, album: Album) -> BulkResult:
    """Take all out of an album; those that were not in it count as changed.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: they are too many.
        Album.DoesNotExist: the person does not know of it.
    """

    def remove(ids: Collection[int]) -> int:
        album_remove(album=album, asset_ids=ids, user=user)
        return len(ids)

    return _on_visible(user, selection, remove)


def bulk_restore(*, user: User, selection: Selection) -> BulkResult:
    """Take out of the trash what was selected there: by ids, or, with an empty query, all of it.

    Raises:
        InvalidChangeError: they are too many, or a query, which finds nothing in the trash.
    """
    with transaction.atomic():
        ids, refused = _in_trash(user, selection)
        return BulkResult(assets_restore(asset_ids=ids, user=user), refused)


def bulk_purge(*, user: User, selection: Selection) -> BulkResult:
    """Delete for ever what was selected in the trash, where the person manages.

    Raises:
        InvalidChangeError: they are too many, or a query, which finds nothing in the trash.
    """
    with transaction.atomic():
        ids, refused = _in_trash(user, selection)
        assets = list(Asset.objects.filter(pk__in=ids).defer("words").order_by("pk"))
        levels = levels_in(user, {asset.collection_id for asset in assets})
        kept = [asset for asset in assets if levels.get(asset.collection_id, 0) < Level.MANAGE]
        told = tuple(
            Refused(asset.pk, str(asset), "not-allowed", "Only who manages its collection may.")
            for asset in kept
        )
        gone = set(ids) - {asset.pk for asset in kept}
        return BulkResult(assets_purge(asset_ids=gone, user=user), (*refused, *told))


# ------------------------------------------------------------------- shared


def _on_visible(user: User, selection: Selection, act: Callable[[Collection[int]], int]) -> BulkResult:
    with transaction.atomic():
        ids = selection_ids(user=user, selection=selection)
        return BulkResult(act(ids), _unknown(selection, ids))


def _on_changeable(user: User, selection: Selection, act: Callable[[Collection[int]], int]) -> BulkResult:
    with transaction.atomic():
        ids = selection_ids(user=user, selection=selection)
        places = Asset.objects.filter(pk__in=ids).only(
            "pk", "collection_id", "uploaded_by_id", "title", "filename"
        )
        assets = list(places.order_by("pk"))
        allowed = changeable_among(user, assets)
        told = tuple(
            Refused(
                asset.pk,
                str(asset),
                "not-allowed",
                "Only who curates its collection may, and who uploaded it.",
            )
            for asset in assets
            if asset.pk not in allowed
        )
        return BulkResult(act(sorted(allowed)) if allowed else 0, (*_unknown(selection, ids), *told))


def _unknown(selection: Selection, found: Collection[int]) -> tuple[Refused, ...]:
    """Those that were named one by one and to this person do not exist."""
    if selection.query is not None:
        return ()
    missing = dict.fromkeys(selection.ids).keys() - set(found) - set(selection.excluded)
    return tuple(Refused(pk, "", "not-found", "There is no such picture.") for pk in sorted(missing))


def _in_trash(user: User, selection: Selection) -> tuple[list[int], tuple[Refused, ...]]:
    rows = assets_restorable_by(user).exclude(pk__in=list(selection.excluded))
    if selection.query is None:
        rows = rows.filter(pk__in=list(selection.ids))
    elif selection.query.strip():
        raise InvalidChangeError("A search finds nothing in the trash.", field="query")
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[: AT_ONCE + 1])
    if len(ids) > AT_ONCE:
        raise InvalidChangeError(
            f"These are more than {AT_ONCE:,} pictures, the most at once.", field="selection", code="too-many"
        )
    return ids, _unknown(selection, ids)
