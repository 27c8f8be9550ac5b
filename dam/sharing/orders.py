"""What people fetch as a zip: ordered with a list of pictures, fetched from an address within minutes.

Two steps, so that a browser saves it like any other file, and a list of thousands travels in a body.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset, Level
from dam.assets.selectors import assets_downloadable_by, assets_visible_to, collection_ids
from dam.sharing.files import Wanted, file_of, refusal_of
from dam.sharing.models import ZipOrder
from dam.sharing.zips import ZipEntry

FETCHED_WITHIN = timedelta(minutes=15)
MOST_CONVERTED = 2_000
_BATCH = 200
_KEY_BYTES = 24


class Ordered(NamedTuple):
    """An order, and what is to be expected of it."""

    order: ZipOrder
    files: int
    left_out: int
    """Of those that the person sees."""


@transaction.atomic
def zip_order(*, user: User, asset_ids: Sequence[int], wanted: Wanted) -> Ordered:
    """Note down what somebody wants as one file. Pictures that they may not see are passed over in silence.

    Raises:
        InvalidChangeError: nothing of it may be downloaded, or more than can be converted for one zip.
    """
    ids = list(dict.fromkeys(asset_ids))
    files = assets_downloadable_by(user).filter(pk__in=ids).count()
    seen = assets_visible_to(user).filter(pk__in=ids).count()
    if not files:
        raise InvalidChangeError(
            "Nothing of this may be downloaded: no right to the originals, expired, or under an embargo."
            if seen
            else "Choose at least one picture.",
            field="selection",
            code="unusable" if seen else "empty",
        )
    if files > MOST_CONVERTED and wanted != Wanted():
        raise InvalidChangeError(
            f"{MOST_CONVERTED:,} pictures at most are converted for one zip; take the originals, or fewer.",
            field="selection",
            code="too-many",
        )
    ZipOrder.objects.filter(expires_at__lt=timezone.now()).delete()
    order = ZipOrder.objects.create(
        key=secrets.token_urlsafe(_KEY_BYTES),
        user=user,
        asset_ids=ids,
        size=str(wanted.long_side or "original"),
        format=wanted.format,
        expires_at=timezone.now() + FETCHED_WITHIN,
    )
    return Ordered(order, files, seen - files)


def order_by_key(*, user: User, key: str) -> ZipOrder | None:
    """The order that somebody made, as long as it may be fetched."""
    if "\0" in key:
        return None
    return ZipOrder.objects.filter(user=user, key=key, expires_at__gt=timezone.now()).first()


def ordered_entries(*, user: User, asset_ids: Sequence[int], wanted: Wanted) -> Iterator[ZipEntry]:
    """What lies in the zip, in the order that was asked for; rights are looked at as it is made."""
    for start in range(0, len(asset_ids), _BATCH):
        batch = asset_ids[start : start + _BATCH]
        may = _by_id(assets_downloadable_by(user), batch)
        seen = _by_id(assets_visible_to(user), batch)
        downloads = collection_ids(user, Level.DOWNLOAD)
        for pk in batch:
            if pk in may:
                yield entry_of(may[pk], wanted)
            elif pk in seen:
                asset = seen[pk]
                refused = refusal_of(
                    asset, may_download=downloads is None or asset.collection_id in downloads
                )
                yield ZipEntry(asset, None, str(refused))


def entry_of(asset: Asset, wanted: Wanted, *, stem: str = "") -> ZipEntry:
    """An asset in a zip; ``stem``: its name there without an extension, if it is not its own."""
    version = asset.current_version
    if version is None:
        return ZipEntry(asset, None, "It has no file.")
    return ZipEntry(asset, file_of(asset, version, wanted, stem=stem))


def _by_id(assets: QuerySet[Asset], ids: Sequence[int]) -> dict[int, Asset]:
    return {
        asset.pk: asset
        for asset in assets.filter(pk__in=ids).select_related("current_version__blob").defer("words")
    }
