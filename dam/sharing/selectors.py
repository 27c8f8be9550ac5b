"""Every read of links: by who holds one, and by who made them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils import timezone

from dam.assets.albums import albums_visible_to
from dam.assets.models import AlbumEntry, Asset, Collection, Level
from dam.assets.selectors import (
    assets_visible_to,
    collection_ids,
    collections_with,
    usable_condition,
)
from dam.sharing.errors import ShareGoneError
from dam.sharing.models import Share, ShareEntry

Person = User | AnonymousUser


class ShareState(StrEnum):
    """How a link stands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state_of(share: Share) -> ShareState:
    """How a link stands now."""
    if share.revoked_at is not None:
        return ShareState.REVOKED
    if share.expires_at is not None and share.expires_at <= timezone.now():
        return ShareState.EXPIRED
    return ShareState.ACTIVE


def share_by_key(key: str) -> Share:
    """The link with that secret, whoever asks.

    Raises:
        ShareGoneError: there is none, it has ended, or its maker has no account here any more.
    """
    found = (
        Share.objects.select_related("created_by", "collection", "album").filter(key=key).first()
        if "\0" not in key
        else None
    )
    if found is None or state_of(found) is not ShareState.ACTIVE or not found.created_by.is_active:
        raise ShareGoneError
    return found


def shared_assets(share: Share, level: Level = Level.VIEW) -> QuerySet[Asset]:
    """What a link shows at this moment: what its maker may see of it, and what may be used.

    Args:
        share: that opens.
        level: with DOWNLOAD, what its maker may download.
    """
    return (
        assets_visible_to(share.created_by, level)
        .filter(_content(share), usable_condition())
        .select_related("current_version__blob")
    )


def downloads_of(share: Share) -> QuerySet[Asset]:
    """Whose files a link gives: none unless it was made so."""
    return shared_assets(share, Level.DOWNLOAD) if share.may_download else Asset.objects.none()


def _content(share: Share) -> Q:
    if share.collection is not None:
        below = Collection.objects.filter(path__startswith=share.collection.path)
        return Q(collection__in=list(below.values_list("pk", flat=True)))
    if share.album_id is not None:
        return Q(pk__in=AlbumEntry.objects.filter(album=share.album_id).values("asset"))
    return Q(pk__in=ShareEntry.objects.filter(share=share).values("asset"))


def shares_visible_to(user: Person) -> QuerySet[Share]:
    """Links that a person may know of: their own, and those to collections that they manage.

    Those who may everything, know all.
    """
    found = Share.objects.select_related("created_by", "collection", "album")
    if not user.is_authenticated or not user.is_active:
        return found.none()
    managed = collection_ids(user, Level.MANAGE)
    if managed is None:
        return found
    return found.filter(Q(created_by=user) | Q(collection__in=managed))


def can_edit(user: Person, share: Share) -> bool:
    """Whether a person may change a link that they know of: its maker, and who may everything."""
    return user.is_active and (share.created_by_id == user.pk or user.is_superuser)


def place_names(user: Person, shares: Iterable[Share]) -> dict[int, str]:
    """What links lead to, by their ids: names of collections and albums, as far as the person knows them.

    A link outlives the right of its maker, and must not tell what a collection is called since.
    """
    shares = list(shares)
    collections = collections_with(user).filter(pk__in=[share.collection_id for share in shares])
    albums = albums_visible_to(user).filter(pk__in=[share.album_id for share in shares])
    by_collection = dict(collections.values_list("pk", "name"))
    by_album = dict(albums.values_list("pk", "name"))
    return {
        share.pk: by_collection.get(share.collection_id or 0) or by_album.get(share.album_id or 0, "")
        for share in shares
    }
