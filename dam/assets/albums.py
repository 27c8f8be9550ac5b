"""Albums: pictures that belong together, wherever they live. They give no rights."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from dam.assets.editing_checks import AT_ONCE, clean_name, clean_text
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, AlbumEntry, Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.audit.services import Target, audit_record

_LONGEST_DESCRIPTION = 10_000

# ---------------------------------------------------------------- selectors


def albums_visible_to(user: Person) -> QuerySet[Album]:
    """The albums that a person knows of, by name: their own, and those with a picture that they may see."""
    if not user.is_authenticated or not user.is_active:
        return Album.objects.none()
    albums = Album.objects.select_related("owner")
    if user.is_superuser:
        return albums
    seen = AlbumEntry.objects.filter(album=OuterRef("pk"), asset__in=assets_visible_to(user).values("pk"))
    return albums.filter(Q(owner=user) | Exists(seen))


def album_get(*, user: Person, album_id: int) -> Album:
    """One album.

    Raises:
        Album.DoesNotExist: there is none, or the person does not know of it.
    """
    return albums_visible_to(user).get(pk=album_id)


def album_assets(*, user: Person, album: Album) -> QuerySet[Asset]:
    """Those of its pictures that a person may see, in the order in which they were added."""
    return assets_visible_to(user).filter(album_entries__album=album).order_by("album_entries__pk")


def albums_of(*, user: Person, asset: Asset) -> QuerySet[Album]:
    """The albums that hold a picture which this person may see."""
    return albums_visible_to(user).filter(entries__asset=asset)


def album_counts(*, user: Person, albums: Iterable[Album]) -> dict[int, int]:
    """Album id → how many of its pictures a person may see; without those that have none."""
    rows = _entries_seen(user, albums).values_list("album").annotate(number=Count("pk"))
    return dict(rows)


def album_covers(*, user: Person, albums: Iterable[Album]) -> dict[int, Asset]:
    """Album id → the picture that stands for it, with its file, to a person.

    The one that was chosen, if they may see it; else the one added last. Those without any are left out.
    """
    albums = list(albums)
    chosen = {album.cover_id for album in albums if album.cover_id is not None}
    visible = set(assets_visible_to(user).filter(pk__in=chosen).values_list("pk", flat=True))
    wanted = {album.pk: album.cover_id for album in albums if album.cover_id in visible}
    others = [album for album in albums if album.pk not in wanted]
    if others:
        last = _entries_seen(user, others).values("album").annotate(last=Max("pk")).values("last")
        wanted.update(AlbumEntry.objects.filter(pk__in=last).values_list("album", "asset"))
    found = Asset.objects.select_related("current_version__blob").defer("words").in_bulk(set(wanted.values()))
    return {pk: found[asset_id] for pk, asset_id in wanted.items() if asset_id in found}


def album_cover(*, user: Person, album: Album) -> Asset | None:
    """See :func:`album_covers`."""
    return album_covers(user=user, albums=[album]).get(album.pk)


def _entries_seen(user: Person, albums: Iterable[Album]) -> QuerySet[AlbumEntry]:
    entries = AlbumEntry.objects.filter(album__in=[album.pk for album in albums])
    return entries.filter(asset__in=assets_visible_to(user).values("pk")).order_by()


def may_edit_album(user: Person, album: Album) -> bool:
    """Whether a person may change an album: its owner, and superusers."""
    if not user.is_authenticated or not user.is_active:
        return False
    return user.is_superuser or (album.owner_id is not None and album.owner_id == user.pk)


# ----------------------------------------------------------------- services


def album_create(*, name: str, user: User, description: str = "", asset_ids: Collection[int] = ()) -> Album:
    """Make an album of one's own.

    Raises:
        InvalidChangeError: a text is not right, or a picture is none that the person may see.
    """
    facts = {"name": clean_name(name), "description": _description(description)}
    with transaction.atomic():
        album = Album.objects.create(owner=user, **facts)
        changes = {field: ["", value] for field, value in facts.items() if value}
        _told(user, "album.create", album, changes)
        if asset_ids:
            album_add(album=album, asset_ids=asset_ids, user=user)
    return album


def album_update(*, album: Album, user: User, **changes: Any) -> Album:
    """Change ``name``, ``description`` or ``cover_id`` (None: none is chosen).

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: a value is not right, or the cover is not in it.
        Album.DoesNotExist: the person does not know of it.
    """
    unknown = changes.keys() - {"name", "description", "cover_id"}
    if unknown:
        raise InvalidChangeError(
            f"An album has no “{min(unknown)}”.", field=min(unknown), code="unknown-field"
        )
    with transaction.atomic():
        held = _hold(album, user)
        wanted: dict[str, Any] = {}
        if "name" in changes:
            wanted["name"] = clean_name(changes["name"])
        if "description" in changes:
            wanted["description"] = _description(changes["description"])
        if "cover_id" in changes:
            wanted["cover_id"] = _cover(user, held, changes["cover_id"])
        differing = {
            field: [getattr(held, field), value]
            for field, value in wanted.items()
            if getattr(held, field) != value
        }
        if differing:
            for field, (_, value) in differing.items():
                setattr(held, field, value)
            held.save(update_fields=[*differing, "updated_at"])
            _told(user, "album.edit", held, differing)
    return held


def album_delete(*, album: Album, user: User) -> None:
    """Delete an album; its pictures stay where they live.

    Raises:
        NotAllowedError: it is somebody else's.
        Album.DoesNotExist: the person does not know of it.
    """
    with transaction.atomic():
        held = _hold(album, user)
        _told(user, "album.delete", held, {"pictures": held.entries.count()})
        held.delete()


def album_add(*, album: Album, asset_ids: Collection[int], user: User) -> int:
    """Put pictures that the person may see into an album; returns how many were not in it.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: a picture is none that the person may see, or they are too many at once.
        Album.DoesNotExist: the person does not know of it.
    """
    wanted = _wanted(asset_ids)
    with transaction.atomic():
        held = _hold(album, user)
        known = set(assets_visible_to(user).filter(pk__in=wanted).values_list("pk", flat=True))
        if len(known) != len(wanted):
            raise InvalidChangeError("There is no such picture.", field="asset_ids", code="unknown-asset")
        known -= set(held.entries.filter(asset__in=known).values_list("asset", flat=True))
        new = [asset_id for asset_id in wanted if asset_id in known]
        AlbumEntry.objects.bulk_create(
            [AlbumEntry(album=held, asset_id=asset_id, added_by=user) for asset_id in new], batch_size=2_000
        )
        if new:
            held.save(update_fields=["updated_at"])
            _told(user, "album.add", held, {"assets": new})
    return len(new)


def album_remove(*, album: Album, asset_ids: Collection[int], user: User) -> int:
    """Take pictures out of an album; returns how many were in it. Those that were not change nothing.

    Raises:
        NotAllowedError: it is somebody else's.
        InvalidChangeError: they are too many at once.
        Album.DoesNotExist: the person does not know of it.
    """
    wanted = _wanted(asset_ids)
    with transaction.atomic():
        held = _hold(album, user)
        entries = held.entries.filter(asset__in=wanted)
        # What the owner may no longer see is, to them, not in it.
        entries = entries.filter(asset__in=assets_visible_to(user).values("pk"))
        gone = sorted(entries.values_list("asset", flat=True))
        if gone:
            held.entries.filter(asset__in=gone).delete()
            if held.cover_id in gone:
                held.cover = None
            held.save(update_fields=["cover", "updated_at"])
            _told(user, "album.remove", held, {"assets": gone})
    return len(gone)


def _hold(album: Album, user: User) -> Album:
    held = Album.objects.select_for_update(no_key=True, of=("self",)).get(pk=album.pk)
    if not may_edit_album(user, held):
        album_get(user=user, album_id=held.pk)
        raise NotAllowedError(f"You may not change “{held}”: only its owner may.")
    return held


def _wanted(asset_ids: Collection[int]) -> list[int]:
    """Each once, in the order in which they were named."""
    wanted = list(dict.fromkeys(asset_ids))
    if len(wanted) > AT_ONCE:
        raise InvalidChangeError(
            f"At most {AT_ONCE:,} pictures are changed at once.", field="asset_ids", code="too-many"
        )
    return wanted


def _cover(user: User, album: Album, cover_id: object) -> int | None:
    if cover_id is None:
        return None
    known = isinstance(cover_id, int) and album_assets(user=user, album=album).filter(pk=cover_id).exists()
    if not known:
        raise InvalidChangeError("There is no such picture in it.", field="cover_id", code="unknown-asset")
    assert isinstance(cover_id, int)
    return cover_id


def _description(value: object) -> str:
    return clean_text(value, field="description", called="The description", longest=_LONGEST_DESCRIPTION)


def _told(user: User, action: str, album: Album, changes: dict[str, Any]) -> None:
    audit_record(actor=user, action=action, targets=[Target("album", album.pk, album.name, None, changes)])
