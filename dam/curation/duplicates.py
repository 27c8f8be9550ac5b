"""Pairs of pictures that look the same: who sees them, and what people say to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Level
from dam.assets.selectors import assets_visible_to, levels_in
from dam.audit.services import Target, audit_record
from dam.curation.models import DuplicatePair
from dam.search.selectors import loaded


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that look the same, as one person sees them."""

    pair: DuplicatePair
    first: Asset
    second: Asset
    """With files and claims loaded, as on a page of the library."""
    same_bytes: bool
    """Their files are equal to the last byte."""
    may_decide: bool
    """Whether this person may keep one of them or tell them apart: they curate both."""


@dataclass(frozen=True, slots=True)
class PairPage:
    """Some pairs, the latest found first, and where the next page begins."""

    pairs: list[Pair]
    next_cursor: str | None


def duplicate_pairs(*, user: User | AnonymousUser, cursor: str | None = None, limit: int = 30) -> PairPage:
    """Open pairs of which the user sees both pictures, the latest found first.

    Raises:
        InvalidChangeError: the cursor is not one of this list.
    """
    pairs = _seen_by(user).filter(state=DuplicatePair.State.OPEN).order_by("-id")
    if cursor:
        pairs = pairs.filter(pk__lt=_read(cursor))
    found = list(pairs[: limit + 1])
    page = found[:limit]
    return PairPage(
        pairs=_with_assets(user, page),
        next_cursor=_signer().sign(str(page[-1].pk)) if len(found) > limit else None,
    )


def duplicate_count(*, user: User | AnonymousUser, bound: int = 1_000) -> int:
    """How many open pairs the user sees, counting no further than ``bound``."""
    return _seen_by(user).filter(state=DuplicatePair.State.OPEN)[:bound].count()


def duplicate_get(*, user: User | AnonymousUser, pair_id: int) -> DuplicatePair:
    """One pair, whatever was said to it.

    Raises:
        DuplicatePair.DoesNotExist: there is none, or the user does not see both pictures.
    """
    return _seen_by(user).get(pk=pair_id)


def pair_of(*, user: User | AnonymousUser, pair: DuplicatePair) -> Pair:
    """A pair from :func:`duplicate_get` with its pictures.

    Raises:
        DuplicatePair.DoesNotExist: one of them has gone from the user's sight since.
    """
    for found in _with_assets(user, [pair]):
        return found
    raise DuplicatePair.DoesNotExist


def duplicate_dismiss(*, pair: DuplicatePair, user: User) -> None:
    """Say that they are two pictures: the pair is offered to nobody any more.

    Raises:
        DuplicatePair.DoesNotExist: it is gone, or the user does not see both pictures.
        NotAllowedError: the user does not curate where both live.
    """
    with transaction.atomic():
        held, assets = pair_hold(pair=pair, user=user)
        if held.state == DuplicatePair.State.DIFFERENT:
            return
        held.state, held.decided_by = DuplicatePair.State.DIFFERENT, user
        held.save(update_fields=["state", "decided_by"])
        _record(user, "asset.not-duplicate", assets)
    pair.state, pair.decided_by = held.state, user


def duplicate_reopen(*, pair: DuplicatePair, user: User) -> None:
    """Take back that they are two pictures; who may say it may take it back.

    Raises:
        DuplicatePair.DoesNotExist, NotAllowedError: as for :func:`duplicate_dismiss`.
    """
    with transaction.atomic():
        held, assets = pair_hold(pair=pair, user=user)
        if held.state == DuplicatePair.State.OPEN:
            return
        held.state, held.decided_by = DuplicatePair.State.OPEN, None
        held.save(update_fields=["state", "decided_by"])
        _record(user, "asset.maybe-duplicate", assets)
    pair.state, pair.decided_by = held.state, None


def pair_hold(*, pair: DuplicatePair, user: User) -> tuple[DuplicatePair, dict[int, Asset]]:
    """Lock a pair and its assets until the caller's transaction ends; returns them, the assets by id.

    Raises:
        DuplicatePair.DoesNotExist: it is gone, or the user does not see both pictures.
        NotAllowedError: the user does not curate where both live.
    """
    # In the order of their ids, as whoever locks several does: nobody waits in a circle.
    rows = Asset.objects.select_for_update(no_key=True, of=("self",)).filter(
        pk__in=(pair.first_id, pair.second_id)
    )
    locked = {asset.pk: asset for asset in rows.order_by("id")}
    # Asked after the lock: one of them may just have gone to the trash.
    held = _seen_by(user).select_for_update(no_key=True, of=("self",)).get(pk=pair.pk)
    if not _may_decide(user, list(locked.values())):
        raise NotAllowedError("Deciding on duplicates needs the right to curate where both pictures live.")
    return held, locked


def _seen_by(user: User | AnonymousUser) -> QuerySet[DuplicatePair]:
    visible = assets_visible_to(user)
    return DuplicatePair.objects.filter(
        Exists(visible.filter(pk=OuterRef("first"))),
        Exists(visible.filter(pk=OuterRef("second"))),
        # Of one whose file was replaced and not looked at yet, or cannot be compared, it says nothing.
        first__state=Asset.State.TAGGED,
        second__state=Asset.State.TAGGED,
        first__likeness__fingerprint__isnull=False,
        second__likeness__fingerprint__isnull=False,
    )


def _with_assets(user: User | AnonymousUser, pairs: Sequence[DuplicatePair]) -> list[Pair]:
    wanted = {pk for pair in pairs for pk in (pair.first_id, pair.second_id)}
    assets = {asset.pk: asset for asset in loaded(assets_visible_to(user).filter(pk__in=wanted))}
    levels = levels_in(user, {asset.collection_id for asset in assets.values()})
    there = [pair for pair in pairs if pair.first_id in assets and pair.second_id in assets]
    return [
        Pair(
            pair=pair,
            first=(first := assets[pair.first_id]),
            second=(second := assets[pair.second_id]),
            same_bytes=_blob(first) == _blob(second),
            may_decide=all(levels[asset.collection_id] >= Level.CURATE for asset in (first, second)),
        )
        for pair in there
    ]


def _blob(asset: Asset) -> int:
    assert asset.current_version is not None
    return asset.current_version.blob_id


def _may_decide(user: User, assets: Sequence[Asset]) -> bool:
    levels = levels_in(user, {asset.collection_id for asset in assets})
    return all(levels.get(asset.collection_id, 0) >= Level.CURATE for asset in assets)


def _record(user: User, action: str, assets: dict[int, Asset]) -> None:
    (one, other) = assets.values()
    audit_record(
        actor=user,
        action=action,
        targets=[
            Target("asset", asset.pk, str(asset), asset.collection_id, {"other": beside.pk})
            for asset, beside in ((one, other), (other, one))
        ],
    )


def _signer() -> Signer:
    return Signer(salt="dam.curation.duplicates")


def _read(cursor: str) -> int:
    try:
        return int(_signer().unsign(cursor))
    except (BadSignature, ValueError) as error:
        raise InvalidChangeError(
            "This is not a cursor of this list; begin without one.", field="cursor", code="bad-cursor"
        ) from error
