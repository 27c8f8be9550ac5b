"""Every write of links."""

from __future__ import annotations

import secrets
from collections.abc import Collection as Some
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dam.assets.albums import albums_visible_to
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, Collection
from dam.assets.selectors import assets_visible_to, collections_with, usable_condition
from dam.audit.services import Target, audit_record
from dam.sharing.facts import FIELDS
from dam.sharing.models import Share, ShareEntry
from dam.sharing.selectors import can_edit, shares_visible_to

MOST_PICTURES = 10_000
SHORTEST_PASSWORD = 6

# 192 bits: nobody finds a link by trying.
_KEY_BYTES = 24
_EDITABLE = ("title", "message", "may_download", "fields", "expires_at")


@transaction.atomic
def share_create(  # noqa: PLR0913  # what a link is made of
    *,
    user: User,
    kind: Share.Kind | str,
    asset_ids: Some[int] = (),
    collection: Collection | None = None,
    album: Album | None = None,
    title: str = "",
    message: str = "",
    password: str = "",
    may_download: bool = False,
    fields: Some[str] = (),
    expires_at: datetime | None = None,
) -> Share:
    """Make a link to pictures, to a collection with what lies below it, or to an album.

    Args:
        user: who makes it; it never shows more than they may see.
        kind: says which of the next three is meant.
        asset_ids: pictures that the user sees.
        collection: one that the user sees.
        album: one that the user knows.
        title: for who opens it; empty: the name of the collection or album.
        message: likewise.
        password: empty: none is asked for.
        may_download: whether they get files; only of what the user may download.
        fields: what they read of each picture, out of :data:`~dam.sharing.facts.FIELDS`.
        expires_at: None: it works until it is revoked.

    Raises:
        InvalidChangeError: it makes no sense so, or there is no such picture, collection or album.
    """
    kind = Share.Kind(kind)
    _check_content(user, kind, asset_ids, collection, album)
    share = Share(
        key=secrets.token_urlsafe(_KEY_BYTES),
        kind=kind,
        collection=collection if kind == Share.Kind.COLLECTION else None,
        album=album if kind == Share.Kind.ALBUM else None,
        title=title,
        message=message,
        password=_hashed(password),
        may_download=may_download,
        fields=_in_order(fields),
        expires_at=expires_at,
        created_by=user,
    )
    named = share.collection or share.album
    if named is not None:
        share.title = share.title or named.name
    _check(share)
    share.save()
    if kind == Share.Kind.PICTURES:
        entries = [ShareEntry(share=share, asset_id=pk) for pk in dict.fromkeys(asset_ids)]
        ShareEntry.objects.bulk_create(entries, batch_size=1000)
    facts = {
        "kind": kind.value,
        "pictures": len(set(asset_ids)) if kind == Share.Kind.PICTURES else None,
        "album": share.album_id,
        "password": bool(password),
        **{name: _plain(getattr(share, name)) for name in _EDITABLE},
    }
    _written(user, "share.create", share, {name: fact for name, fact in facts.items() if fact is not None})
    return share


@transaction.atomic
def share_update(*, share: Share, user: User, **changes: Any) -> Share:
    """Change a link; who holds it notices at once.

    Args:
        share: one that the user knows of.
        user: its maker, or who may everything.
        changes: ``title``, ``message``, ``password`` (empty: none any more; whoever gave the old one has to
            give the new one), ``may_download``, ``fields``, ``expires_at``.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: it makes no sense so, or the link is revoked.
        TypeError: a change of something else.
    """
    if unknown := changes.keys() - {*_EDITABLE, "password"}:
        raise TypeError(f"not for changing: {', '.join(sorted(unknown))}")
    # Asked for by its user again: a right may have gone since the page was drawn.
    share = shares_visible_to(user).select_for_update(of=("self",)).get(pk=share.pk)
    if not can_edit(user, share):
        raise NotAllowedError("Only who made a link changes it.")
    if share.revoked_at is not None:
        raise InvalidChangeError("This link is revoked for ever; make a new one.", code="revoked")
    before = {name: _plain(getattr(share, name)) for name in _EDITABLE}
    password = changes.pop("password", None)
    for name, value in changes.items():
        setattr(share, name, _in_order(value) if name == "fields" else value)
    if password is not None:
        share.password, share.wrong_attempts = _hashed(password), 0
    _check(share, expiry="expires_at" in changes)
    after = {name: _plain(getattr(share, name)) for name in _EDITABLE}
    changed: dict[str, Any] = {
        name: [before[name], after[name]] for name in _EDITABLE if before[name] != after[name]
    }
    if password is not None:
        changed["password"] = "set" if password else "removed"
    share.save()
    if changed:
        _written(user, "share.edit", share, changed)
    return share


@transaction.atomic
def share_revoke(*, share: Share, user: User) -> Share:
    """End a link for ever; nothing happens to one that is revoked already.

    Args:
        share: one that the user knows of.
        user: its maker, who may everything, or who manages the collection.
    """
    share = shares_visible_to(user).select_for_update(of=("self",)).get(pk=share.pk)
    if share.revoked_at is None:
        share.revoked_at = timezone.now()
        share.save(update_fields=["revoked_at"])
        _written(user, "share.revoke", share, {})
    return share


def share_used(*, share: Share) -> None:
    """Count one opening."""
    Share.objects.filter(pk=share.pk).update(uses=F("uses") + 1, last_used_at=timezone.now())


def _check_content(
    user: User, kind: Share.Kind, asset_ids: Some[int], collection: Collection | None, album: Album | None
) -> None:
    if kind == Share.Kind.PICTURES:
        _check_pictures(user, set(asset_ids))
    elif kind == Share.Kind.COLLECTION:
        if collection is None or not collections_with(user).filter(pk=collection.pk).exists():
            raise InvalidChangeError("There is no such collection.", field="collection")
    elif album is None or not albums_visible_to(user).filter(pk=album.pk).exists():
        raise InvalidChangeError("There is no such album.", field="album")


def _check_pictures(user: User, ids: set[int]) -> None:
    if not ids:
        raise InvalidChangeError("Choose at least one picture.", field="selection", code="empty")
    if len(ids) > MOST_PICTURES:
        raise InvalidChangeError(
            f"A link shows {MOST_PICTURES:,} pictures at most. Share their collection or an album.",
            field="selection",
            code="too-many",
        )
    seen = assets_visible_to(user).filter(pk__in=ids)
    if seen.count() != len(ids):
        raise InvalidChangeError(
            "One of these pictures does not exist, or you may not see it.", field="selection"
        )
    if not seen.filter(usable_condition()).exists():
        raise InvalidChangeError(
            "Nothing of this can be shared: all of it has expired or is under an embargo.",
            field="selection",
            code="unusable",
        )


def _in_order(fields: Some[str]) -> list[str]:
    if unknown := set(fields) - FIELDS.keys():
        raise InvalidChangeError(f"There is no field “{min(unknown)}”.", field="fields")
    return [name for name in FIELDS if name in fields]


def _check(share: Share, *, expiry: bool = True) -> None:
    if expiry and share.expires_at is not None and share.expires_at <= timezone.now():
        raise InvalidChangeError("It has to end later than now.", field="expires_at")


def _hashed(password: str) -> str:
    if not password:
        return ""
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidChangeError(
            f"The password needs {SHORTEST_PASSWORD} characters at least.", field="password"
        )
    return make_password(password)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _written(user: User, action: str, share: Share, changes: dict[str, Any]) -> None:
    audit_record(
        actor=user,
        action=action,
        targets=[
            Target(
                type="share",
                id=share.pk,
                name=str(share),
                collection_id=share.collection_id,
                changes=changes,
            )
        ],
    )
