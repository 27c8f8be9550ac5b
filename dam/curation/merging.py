"""Of two pictures that look the same, one is kept: what was said of the other goes over to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from dam.assets.editing import asset_update
from dam.assets.errors import InvalidChangeError
from dam.assets.models import Album, AlbumEntry, Asset
from dam.assets.trash import assets_trash
from dam.audit.services import Target, audit_record
from dam.curation.duplicates import pair_hold
from dam.curation.models import DuplicatePair
from dam.tagging.models import Claim, Decision
from dam.tagging.services import claims_derive

_FILLED = ("title", "description", "licence", "copyright_holder", "credit")
_FACTS_FILLED = ("taken_at", "camera")
_RELEASE_RANK: Mapping[str, int] = {
    Asset.Release.PENDING: 1,
    Asset.Release.REFUSED: 2,
}
"""How much a release status forbids; the others forbid nothing."""


def duplicate_keep(*, pair: DuplicatePair, keep_id: int, user: User) -> Asset:
    """Keep one picture of a pair, give it what only the other had, and put the other into the trash.

    Empty texts and rights are filled; of two expiry dates, embargoes or release statuses the stricter holds;
    tags that people gave to the other are given, unless somebody decided on the same tag here; it joins the
    albums of the other. Who restores the other from the trash finds it as it was.

    Returns:
        The picture that was kept, as it is now.

    Raises:
        DuplicatePair.DoesNotExist: it is gone, or the user does not see both pictures.
        NotAllowedError: the user does not curate where both live.
        InvalidChangeError: ``keep_id`` is neither of them, or no day is left on which both may be used.
    """
    if keep_id not in (pair.first_id, pair.second_id):
        raise InvalidChangeError("Keep one of the two pictures.", field="keep", code="not-of-pair")
    with transaction.atomic():
        _, assets = pair_hold(pair=pair, user=user)
        kept = assets.pop(keep_id)
        (other,) = assets.values()
        if merged := merged_fields(kept, other):
            kept = asset_update(asset=kept, user=user, **merged)
        told: dict[str, Any] = {"other": other.pk}
        told |= _facts_fill(kept, other)
        told |= _decisions_take_over(kept, other)
        _albums_join(kept, other, user)
        audit_record(
            actor=user,
            action="asset.keep",
            targets=[Target("asset", kept.pk, str(kept), kept.collection_id, told)],
        )
        assets_trash(asset_ids=[other.pk], user=user)
    return kept


def merged_fields(kept: Asset, other: Asset) -> dict[str, Any]:
    """What :func:`duplicate_keep` changes of what people wrote about the kept one: field → its new value."""
    wanted: dict[str, Any] = {field: getattr(kept, field) or getattr(other, field) for field in _FILLED}
    wanted["expires_on"] = _stricter(kept.expires_on, other.expires_on, min)
    wanted["embargo_until"] = _stricter(kept.embargo_until, other.embargo_until, max)
    wanted["release_status"] = _release(kept.release_status, other.release_status)
    return {field: value for field, value in wanted.items() if value != getattr(kept, field)}


def _stricter(one: date | None, other: date | None, choose: Any) -> date | None:
    if one is None or other is None:
        return one or other
    chosen: date = choose(one, other)
    return chosen


def _release(kept: str, other: str) -> str:
    if _RELEASE_RANK.get(other, 0) > _RELEASE_RANK.get(kept, 0):
        return other
    return kept or other


def _facts_fill(kept: Asset, other: Asset) -> dict[str, Any]:
    """When and with what it was taken: programs that make copies like to forget it."""
    wanted = {
        field: getattr(other, field)
        for field in _FACTS_FILLED
        if getattr(other, field) and not getattr(kept, field)
    }
    if wanted:
        Asset.objects.filter(pk=kept.pk).update(**wanted)
        for field, value in wanted.items():
            setattr(kept, field, value)
    return {field: ["", str(value)] for field, value in wanted.items()}


def _decisions_take_over(kept: Asset, other: Asset) -> dict[str, Any]:
    """Tags that people gave to the other, in the names of those who gave them."""
    given = Decision.objects.filter(asset=other).exclude(verdict=Decision.Verdict.REJECTED)
    given = given.exclude(tag__in=Decision.objects.filter(asset=kept).values("tag"))
    suggested = set(
        Claim.objects.filter(asset=kept, source=Claim.Source.MODEL).values_list("tag_id", flat=True)
    )
    taken = [
        Decision(
            asset=kept,
            tag_id=decision.tag_id,
            verdict=Decision.Verdict.ACCEPTED if decision.tag_id in suggested else Decision.Verdict.ADDED,
            decided_by_id=decision.decided_by_id,
            decided_at=decision.decided_at,
            # Said once, of the other picture: it counts once for the model that was judged by it.
            model_version=None,
        )
        for decision in given.order_by("tag_id")
    ]
    if not taken:
        return {}
    Decision.objects.bulk_create(taken)
    claims_derive(asset=kept)
    return {"tags": [decision.tag_id for decision in taken]}


def _albums_join(kept: Asset, other: Asset, user: User) -> None:
    """Be in the albums of the other, and stand for those that it stood for."""
    entries = AlbumEntry.objects.filter(asset=other)
    joined = list(
        Album.objects.filter(entries__in=entries)
        .exclude(entries__in=AlbumEntry.objects.filter(asset=kept))
        .order_by("pk")
    )
    AlbumEntry.objects.bulk_create(
        [AlbumEntry(album=album, asset=kept, added_by=user) for album in joined], ignore_conflicts=True
    )
    Album.objects.filter(cover=other).update(cover=kept)
    audit_record(
        actor=user,
        action="album.add",
        targets=[Target("album", album.pk, album.name, None, {"assets": [kept.pk]}) for album in joined],
    )
