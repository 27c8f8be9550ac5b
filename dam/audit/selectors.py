"""Reading what was written down. Who may read what is decided above: ``dam.assets.history``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import QuerySet

from dam.audit.models import AuditEntry


@dataclass(frozen=True, slots=True)
class HistoryFilters:
    """Which entries are wanted; what is empty or None does not matter."""

    actor: str = ""
    """A user's name as it was."""
    action: str = ""
    """A stable word, such as ``asset.edit``, or its first part: ``asset``."""
    object_type: str = ""
    object_id: int | None = None
    collection_id: int | None = None
    since: date | None = None
    """The first day, in UTC."""
    until: date | None = None
    """The last day, in UTC."""


def entries_matching(filters: HistoryFilters | None = None) -> QuerySet[AuditEntry]:
    """All entries that match, the newest first."""
    wanted = filters or HistoryFilters()
    found = AuditEntry.objects.select_related("actor").order_by("-id")
    if wanted.actor:
        found = found.filter(actor_name=wanted.actor)
    if wanted.action:
        exact = "." in wanted.action
        found = found.filter(
            **{"action" if exact else "action__startswith": wanted.action if exact else f"{wanted.action}."}
        )
    if wanted.object_type:
        found = found.filter(object_type=wanted.object_type)
    if wanted.object_id is not None:
        found = found.filter(object_id=wanted.object_id)
    if wanted.collection_id is not None:
        found = found.filter(collection_id=wanted.collection_id)
    if wanted.since is not None:
        found = found.filter(at__gte=datetime.combine(wanted.since, time(), UTC))
    if wanted.until is not None:
        found = found.filter(at__lt=datetime.combine(wanted.until + timedelta(days=1), time(), UTC))
    return found
