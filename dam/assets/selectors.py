"""Every read of pictures that people see, and the one condition under which they see them."""

from __future__ import annotations

from collections.abc import Collection as Some
from datetime import date

from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from dam.assets.models import Asset, Collection, Level

Person = User | AnonymousUser

# Grants hold for the subtree: a path begins with those of everything above it.
_GRANTED = """
SELECT DISTINCT below.id
FROM assets_grant AS granted
JOIN assets_collection AS above ON above.id = granted.collection_id
JOIN assets_collection AS below ON below.path LIKE above.path || '%%'
WHERE granted.level >= %(level)s
AND (
    (granted.user_id IS NULL AND granted.group_id IS NULL)
    OR granted.user_id = %(user)s
    OR granted.group_id IN (SELECT group_id FROM auth_user_groups WHERE user_id = %(user)s)
)
ORDER BY below.id
"""


def collection_ids(user: Person, level: Level = Level.VIEW) -> list[int] | None:
    """Ids of the collections in which a person has at least that right; None: in all, as superusers have."""
    if not user.is_authenticated or not user.is_active:
        return []
    if user.is_superuser:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_GRANTED, {"user": user.pk, "level": int(level)})
        return [row[0] for row in cursor.fetchall()]


def collections_with(user: Person, level: Level = Level.VIEW) -> QuerySet[Collection]:
    """The collections in which a person has at least that right, in the order of the tree."""
    ids = collection_ids(user, level)
    found: QuerySet[Collection] = Collection.objects.order_by("path")
    return found if ids is None else found.filter(pk__in=ids)


def visible_condition(user: Person, level: Level = Level.VIEW) -> Q:
    """The one condition on assets: where a person has that right, and not in the trash.

    The ids stand in it as constants, so that the planner knows how many rows they stand for.
    """
    ids = collection_ids(user, level)
    condition = Q(trashed_at__isnull=True)
    return condition if ids is None else condition & Q(collection__any_of=ids)


def assets_visible_to(user: Person, level: Level = Level.VIEW) -> QuerySet[Asset]:
    """What a person may see; with another level, where they may do that, too. Nothing in the trash."""
    if not user.is_authenticated or not user.is_active:
        return Asset.objects.none()
    return Asset.objects.filter(visible_condition(user, level))


def assets_in_trash(user: Person) -> QuerySet[Asset]:
    """What lies in the trash and a person may bring back: where they curate."""
    ids = collection_ids(user, Level.CURATE)
    found = Asset.objects.filter(trashed_at__isnull=False)
    return found if ids is None else found.filter(collection__any_of=ids)


def usable_condition(today: date | None = None) -> Q:
    """Neither expired nor under an embargo: what may be downloaded and shown by a link."""
    day = today or timezone.now().date()
    return (Q(expires_on__isnull=True) | Q(expires_on__gte=day)) & (
        Q(embargo_until__isnull=True) | Q(embargo_until__lte=day)
    )


def is_usable(asset: Asset, today: date | None = None) -> bool:
    """:func:`usable_condition` for one asset."""
    day = today or timezone.now().date()
    return (asset.expires_on is None or asset.expires_on >= day) and (
        asset.embargo_until is None or asset.embargo_until <= day
    )


def assets_downloadable_by(user: Person) -> QuerySet[Asset]:
    """Whose original a person may fetch: where they have that right; unusable ones where they manage."""
    if not user.is_authenticated or not user.is_active:
        return Asset.objects.none()
    allowed = visible_condition(user, Level.DOWNLOAD) & usable_condition()
    return Asset.objects.filter(allowed | visible_condition(user, Level.MANAGE))


def level_in(user: Person, collection_id: int) -> Level | None:
    """The most that a person may do in a collection; None: they may not know of it."""
    return levels_in(user, [collection_id]).get(collection_id)


def levels_in(user: Person, ids: Some[int]) -> dict[int, Level]:
    """The most that a person may do in each of these collections; those without any right are left out."""
    if not user.is_authenticated or not user.is_active:
        return {}
    if user.is_superuser:
        return dict.fromkeys(ids, Level.MANAGE)
    with connection.cursor() as cursor:
        cursor.execute(_LEVELS, {"user": user.pk, "ids": list(ids)})
        return {row[0]: Level(row[1]) for row in cursor.fetchall()}


_LEVELS = """
SELECT below.id, max(granted.level)
FROM assets_grant AS granted
JOIN assets_collection AS above ON above.id = granted.collection_id
JOIN assets_collection AS below ON below.path LIKE above.path || '%%'
WHERE below.id = ANY(%(ids)s)
AND (
    (granted.user_id IS NULL AND granted.group_id IS NULL)
    OR granted.user_id = %(user)s
    OR granted.group_id IN (SELECT group_id FROM auth_user_groups WHERE user_id = %(user)s)
)
GROUP BY below.id
"""


def can(user: Person, level: Level, asset: Asset) -> bool:
    """Whether a person has that right where the asset lives."""
    held = level_in(user, asset.collection_id)
    return held is not None and held >= level


def can_change(user: Person, asset: Asset) -> bool:
    """Whether a person may decide on tags and edit the asset: who curates there, and who contributed it."""
    if can(user, Level.CURATE, asset):
        return True
    own = asset.uploaded_by_id is not None and asset.uploaded_by_id == user.pk
    return own and can(user, Level.CONTRIBUTE, asset)
