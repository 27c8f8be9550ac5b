"""What a person may read of what was done: their own acts, and all that happened where they manage."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from dam.assets.models import Album, Asset, Level
from dam.assets.selectors import Person, can_change, collection_ids
from dam.audit.models import AuditEntry
from dam.audit.selectors import HistoryFilters, entries_matching

__all__ = ["HistoryFilters", "entries_of", "entries_visible_to"]


def entries_visible_to(*, user: Person, filters: HistoryFilters | None = None) -> QuerySet[AuditEntry]:
    """What a person may read, the newest first: superusers all of it.

    Others their own acts, and what happened in collections that they manage now.
    """
    if not user.is_authenticated or not user.is_active:
        return AuditEntry.objects.none()
    found = entries_matching(filters)
    managed = collection_ids(user, Level.MANAGE)
    return found if managed is None else found.filter(Q(actor=user) | Q(collection_id__in=managed))


def entries_of(*, user: Person, object_type: str, object_id: int) -> QuerySet[AuditEntry]:
    """What was done to one thing and a person may read, the newest first.

    Of a picture that they may change, or an album of their own, they read all of it.
    """
    if not user.is_authenticated or not user.is_active:
        return AuditEntry.objects.none()
    filters = HistoryFilters(object_type=object_type, object_id=object_id)
    if _reads_all_of(user, object_type, object_id):
        return entries_matching(filters)
    return entries_visible_to(user=user, filters=filters)


def _reads_all_of(user: Person, object_type: str, object_id: int) -> bool:
    if object_type == "asset":
        asset = Asset.objects.filter(pk=object_id).defer("words").first()
        return asset is not None and can_change(user, asset)
    if object_type == "album":
        return Album.objects.filter(pk=object_id, owner=user.pk).exists()
    return False
