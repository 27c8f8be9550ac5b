"""Albums: they gather pictures and give no rights."""

from __future__ import annotations

import pytest

from dam.assets.albums import (
    album_add,
    album_assets,
    album_counts,
    album_cover,
    album_create,
    album_delete,
    album_get,
    album_remove,
    album_update,
    albums_of,
    albums_visible_to,
)
from dam.assets.errors import InvalidChangeError, NotAllowedError
from dam.assets.models import Album, Asset, Collection, Level
from tests.dam.factories import AlbumFactory, AssetFactory, StaffFactory, UserFactory
from tests.dam.organising_scene import below, root, told, who

__all__ = ["root"]


def test_an_album_gathers_pictures_in_the_order_in_which_they_came(root: Collection) -> None:
    anna = who(Level.VIEW, root, "anna")
    first, second, third = AssetFactory.create_batch(3)
    album = album_create(name="Best of", user=anna, asset_ids=[second.pk, first.pk])
    assert album_add(album=album, asset_ids=[first.pk, third.pk, third.pk], user=anna) == 1
    assert list(album_assets(user=anna, album=album)) == [second, first, third]
    assert album_remove(album=album, asset_ids=[first.pk, 999_999], user=anna) == 1
    assert album_counts(user=anna, albums=[album]) == {album.pk: 2}
    assert [action for _, action, _ in told()] == ["album.create", "album.add", "album.add", "album.remove"]


def test_each_sees_in_an_album_what_they_may_see_and_knows_of_it_only_then(root: Collection) -> None:
    press, secret = below(root, "Press"), below(root, "Secret")
    shown, hidden = AssetFactory(collection=press), AssetFactory(collection=secret)
    owner, reader, stranger = who(Level.VIEW, root), who(Level.VIEW, press), UserFactory()
    album = AlbumFactory(owner=owner, pictures=[shown, hidden])
    only_secret = AlbumFactory(owner=owner, pictures=[hidden], cover=hidden)
    empty = AlbumFactory(owner=owner)
    assert set(albums_visible_to(owner)) == {album, only_secret, empty}
    assert list(albums_visible_to(reader)) == [album]
    assert list(albums_visible_to(stranger)) == []
    assert albums_visible_to(StaffFactory()).count() == 3
    assert list(album_assets(user=reader, album=album)) == [shown]
    assert album_counts(user=reader, albums=[album, only_secret, empty]) == {album.pk: 1}
    assert list(albums_of(user=reader, asset=shown)) == [album]
    with pytest.raises(Album.DoesNotExist):
        album_get(user=reader, album_id=only_secret.pk)
    Asset.objects.filter(pk=shown.pk).update(trashed_at="2026-01-01T00:00Z")
    assert list(albums_visible_to(reader)) == []


def test_only_pictures_that_one_sees_are_added(root: Collection) -> None:
    press, secret = below(root, "Press"), below(root, "Secret")
    user = who(Level.MANAGE, press)
    album = AlbumFactory(owner=user)
    for pk in (AssetFactory(collection=secret).pk, 999_999):
        with pytest.raises(InvalidChangeError) as refused:
            album_add(album=album, asset_ids=[AssetFactory(collection=press).pk, pk], user=user)
        assert (str(refused.value), refused.value.code) == ("There is no such picture.", "unknown-asset")
    with pytest.raises(InvalidChangeError):
        album_create(name="New", user=user, asset_ids=[999_999])
    assert (album.entries.count(), Album.objects.count(), told()) == (0, 1, [])


def test_an_album_is_its_owners_to_change(root: Collection) -> None:
    picture = AssetFactory()
    album = AlbumFactory(pictures=[picture])
    empty = AlbumFactory()
    reader = who(Level.MANAGE, root)
    for act in (
        lambda each: album_update(album=each, user=reader, name="Mine"),
        lambda each: album_add(album=each, asset_ids=[picture.pk], user=reader),
        lambda each: album_remove(album=each, asset_ids=[picture.pk], user=reader),
        lambda each: album_delete(album=each, user=reader),
    ):
        with pytest.raises(NotAllowedError):
            act(album)
        with pytest.raises(Album.DoesNotExist):
            act(empty)
    assert album_update(album=album, user=StaffFactory(), name="Ours").name == "Ours"


def test_name_description_and_cover_change(root: Collection) -> None:
    anna = who(Level.VIEW, root)
    first, second = AssetFactory.create_batch(2)
    album = AlbumFactory(owner=anna, pictures=[first, second])
    assert album_cover(user=anna, album=album) == second
    changed = album_update(album=album, user=anna, name=" New  name", description="Why", cover_id=first.pk)
    assert (changed.name, changed.description) == ("New name", "Why")
    assert album_cover(user=anna, album=changed) == first
    with pytest.raises(InvalidChangeError) as refused:
        album_update(album=album, user=anna, cover_id=AssetFactory().pk)
    assert refused.value.field == "cover_id"
    album_remove(album=album, asset_ids=[first.pk], user=anna)
    album.refresh_from_db()
    assert (album.cover, album_cover(user=anna, album=album)) == (None, second)
    with pytest.raises(InvalidChangeError, match="has no"):
        album_update(album=album, user=anna, owner=anna)


def test_a_deleted_album_leaves_its_pictures(root: Collection) -> None:
    anna, picture = who(Level.VIEW, root), AssetFactory()
    album_delete(album=AlbumFactory(owner=anna, pictures=[picture]), user=anna)
    assert (Album.objects.count(), Asset.objects.count()) == (0, 1)


def test_what_the_owner_no_longer_sees_is_not_theirs_to_take_out(root: Collection) -> None:
    anna = UserFactory()
    album = AlbumFactory(owner=anna, pictures=[hidden := AssetFactory()])
    assert album_remove(album=album, asset_ids=[hidden.pk], user=anna) == 0
    assert album.entries.count() == 1
