"""The trash: what lies there nobody sees, finds or downloads, until it is restored or deleted for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from dam.assets.editing_checks import AT_ONCE, assets_hold, assets_told, changeable_required
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Asset, Level
from dam.assets.selectors import assets_visible_to, levels_in
from dam.assets.trash_selectors import assets_restorable_by, purge_at, trash_due

__all__ = [
    "assets_purge",
    "assets_restorable_by",
    "assets_restore",
    "assets_trash",
    "purge_at",
    "trash_due",
    "trash_empty",
]

# Assets that go in one transaction: the rows that hang on each are locked until it ends.
_PURGED_AT_ONCE = 200


def assets_trash(*, asset_ids: Collection[int], user: User) -> int:
    """Put pictures into the trash; returns how many.

    Raises:
        Asset.DoesNotExist: the person may not see one of them, or it is there already.
        NotAllowedError: they neither curate its collection nor contributed it.
        InvalidChangeError: they are too many at once.
    """
    with transaction.atomic():
        assets = assets_hold(assets_visible_to(user), asset_ids)
        changeable_required(user, assets)
        now = timezone.now()
        Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(trashed_at=now, updated_at=now)
        assets_told(user=user, action="asset.trash", assets=assets)
    return len(assets)


def assets_restore(*, asset_ids: Collection[int], user: User) -> int:
    """Take pictures out of the trash, to where they lay; returns how many.

    Raises:
        Asset.DoesNotExist: one of them is not in the trash, or not for this person to restore.
        InvalidChangeError: they are too many at once.
    """
    with transaction.atomic():
        assets = assets_hold(assets_restorable_by(user), asset_ids)
        Asset.objects.filter(pk__in=[asset.pk for asset in assets]).update(
            trashed_at=None, updated_at=timezone.now()
        )
        assets_told(user=user, action="asset.restore", assets=assets)
    return len(assets)


def assets_purge(*, asset_ids: Collection[int], user: User) -> int:
    """Delete pictures of the trash for ever, with all that hangs on them; returns how many.

    Their bytes go with the next sweep of what nothing names, if no other picture has the same.

    Raises:
        Asset.DoesNotExist: one of them is not in the trash, or the person may not know of it.
        NotAllowedError: they do not manage its collection.
        InvalidChangeError: they are too many at once.
    """
    wanted = set(asset_ids)
    if len(wanted) > AT_ONCE:
        raise InvalidChangeError(
            f"At most {AT_ONCE:,} pictures are deleted at once.", field="asset_ids", code="too-many"
        )
    with transaction.atomic():
        known = assets_restorable_by(user).filter(pk__in=wanted)
        places = dict(known.values_list("pk", "collection"))
        if len(places) != len(wanted):
            raise Asset.DoesNotExist
        levels = levels_in(user, set(places.values()))
        refused = sum(levels.get(place, 0) < Level.MANAGE for place in places.values())
        if refused:
            raise NotAllowedError(
                "You may not delete these pictures for ever: only who manages their collection may."
            )
        # All or none, in parts, because each part reads what hangs on its pictures.
        ids = sorted(wanted)
        return sum(
            _purge(ids[start : start + _PURGED_AT_ONCE], user=user, places=places)
            for start in range(0, len(ids), _PURGED_AT_ONCE)
        )


def trash_empty(
    *,
    older_than: timedelta,
    user: User | None = None,
    should_stop: Callable[[], bool] = bool,
    advance: Callable[[int], None] = lambda _count: None,
) -> int:
    """Delete for ever what has lain in the trash for so long; returns how many pictures.

    In parts: whoever stops it half-way has deleted the first, and the next call goes on.

    Args:
        older_than: how long they must have lain there.
        user: who asks, and then only where they manage; None: a command of the server, everywhere.
        should_stop: asked before each part.
        advance: told how many pictures a part had.
    """
    removed = last = 0
    due = trash_due(older_than=older_than, user=user)
    until = timezone.now() - older_than
    while not should_stop():
        ids = list(due.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_PURGED_AT_ONCE])
        if not ids:
            break
        last = ids[-1]
        with transaction.atomic():
            count = _purge(ids, user=user, trashed_until=until)
        removed += count
        advance(count)
    return removed


def _purge(
    asset_ids: Collection[int],
    *,
    user: User | None,
    places: dict[int, int] | None = None,
    trashed_until: datetime | None = None,
) -> int:
    """Delete those that are in the trash still, in the caller's transaction.

    Locks are taken in the order of those who record answers: jobs, then assets, by their ids. An answer
    that comes later finds no job and changes nothing, so the ledger stays true: picture, jobs and
    answers go at the same moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_JOBS, [list(asset_ids)])
    held = Asset.objects.select_for_update(of=("self",)).filter(
        pk__in=asset_ids, trashed_at__lte=trashed_until or timezone.now()
    )
    assets = list(held.defer("words").order_by("pk"))
    if places is not None:
        # Moved meanwhile: whether the person manages it there was not asked.
        assets = [asset for asset in assets if asset.collection_id == places[asset.pk]]
    gone = [asset.pk for asset in assets]
    assets_told(user=user, action="asset.purge", assets=assets)
    # Its files hang on the picture, and the picture on one of its files.
    Asset.objects.filter(pk__in=gone).update(current_version=None)
    Asset.objects.filter(pk__in=gone).delete()
    return len(gone)


_LOCK_JOBS = "SELECT FROM jobs_taggingjob WHERE asset_id = ANY(%s) ORDER BY id FOR UPDATE"
