"""Writing down who did what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django.contrib.auth.models import AnonymousUser, User

from dam.audit.context import client_address
from dam.audit.models import AuditEntry
from pipeline.telemetry.requests import current_request_id


class Target(NamedTuple):
    """What was acted upon."""

    type: str
    """asset, collection, grant, tag, share, album, search …"""
    id: int
    name: str = ""
    collection_id: int | None = None
    changes: Mapping[str, Any] | None = None
    """Field → [before, after], or facts of the act; JSON."""


def audit_record(*, actor: User | AnonymousUser | None, action: str, targets: Iterable[Target]) -> None:
    """Write down one act on each of these, inside the transaction that does it.

    Args:
        actor: None or nobody signed in: a command, or the holder of a link.
        action: a stable word, such as ``asset.edit``.
        targets: what was acted upon, each with what changed.
    """
    known = actor if isinstance(actor, User) else None
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(
                actor=known,
                actor_name=known.get_username() if known else "",
                action=action,
                object_type=target.type,
                object_id=target.id,
                object_name=target.name[:255],
                collection_id=target.collection_id,
                changes=dict(target.changes or {}),
                address=client_address(),
                request_id=current_request_id(),
            )
            for target in targets
        ],
        batch_size=1000,
    )
