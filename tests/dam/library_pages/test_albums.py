"""The pages of albums."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.models import Album, AlbumEntry, Level
from dam.assets.services import root_collection
from dam.library import albums_page
from tests.dam.factories import AlbumFactory, AssetFactory, CollectionFactory, GrantFactory, UserFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db

SCRIPT = {"Accept": "application/json"}


def test_albums_are_listed_with_what_one_may_see_of_them(client: Client, anna: User) -> None:
    root_collection().grants.all().delete()
    seen, unseen = CollectionFactory(), CollectionFactory()
    GrantFactory(collection=seen, user=anna, level=Level.VIEW)
    AlbumFactory(name="Beaches", pictures=[AssetFactory(collection=seen), AssetFactory(collection=unseen)])
    AlbumFactory(name="Secret", pictures=[AssetFactory(collection=unseen)])
    html = text(client.get("/albums/"))
    assert "<span>Beaches</span><span>1</span>" in html
    assert "Secret" not in html


def test_an_album_is_made_renamed_filled_emptied_and_deleted(client: Client, anna: User) -> None:
    first, second = AssetFactory(filename="one.jpg"), AssetFactory(filename="two.jpg")
    answer = client.post("/albums/create/", {"name": "Best of"}, headers=SCRIPT)
    album = Album.objects.get()
    assert answer.json()["go"] == f"/albums/{album.pk}/"
    assert "There is no picture in it" in text(client.get(f"/albums/{album.pk}/"))
    client.post("/albums/add/", {"album": album.pk, "ids": [first.pk, second.pk]}, headers=SCRIPT)
    html = text(client.get(f"/albums/{album.pk}/"))
    assert html.index("one.jpg") < html.index("two.jpg")
    assert "2 pictures" in html
    client.post(f"/albums/{album.pk}/edit/", {"name": "The best", "description": "Of all"})
    client.post(f"/albums/{album.pk}/cover/{second.pk}/")
    client.post(f"/albums/{album.pk}/remove/", {"ids": [first.pk]})
    album.refresh_from_db()
    assert (album.name, album.description, album.cover_id) == ("The best", "Of all", second.pk)
    assert list(AlbumEntry.objects.values_list("asset", flat=True)) == [second.pk]
    assert client.post(f"/albums/{album.pk}/delete/").headers["Location"] == "/albums/"
    assert not Album.objects.exists()


def test_a_picture_goes_into_a_new_album_from_its_page(client: Client, anna: User) -> None:
    asset = AssetFactory()
    client.post("/albums/add/", {"name": "Fresh", "ids": asset.pk}, headers=SCRIPT)
    assert Album.objects.get(owner=anna).name == "Fresh"
    assert "Fresh" in text(client.get(f"/assets/{asset.pk}/"))
    assert client.post("/albums/add/", {"ids": asset.pk}, headers=SCRIPT).status_code == 400
    assert client.post("/albums/add/", {"name": "X", "ids": "x"}, headers=SCRIPT).status_code == 400


def test_somebody_else_s_album_is_looked_at_and_not_changed(client: Client, anna: User) -> None:
    album = AlbumFactory(owner=UserFactory(), pictures=[AssetFactory()])
    html = text(client.get(f"/albums/{album.pk}/"))
    assert "album-edit" not in html
    assert client.post(f"/albums/{album.pk}/delete/").status_code == 403
    assert client.post(f"/albums/{album.pk}/remove/", {"ids": 1}).status_code == 403


def test_a_large_album_comes_in_pages(client: Client, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(albums_page, "PAGE_SIZE", 2)
    pictures = [AssetFactory(filename=f"p{number}.jpg") for number in range(3)]
    album = AlbumFactory(owner=anna, pictures=pictures)
    html = text(client.get(f"/albums/{album.pk}/"))
    assert "p2.jpg" not in html
    last = AlbumEntry.objects.get(asset=pictures[1]).pk
    assert f'href="?after={last}"' in html
    second = text(client.get(f"/albums/{album.pk}/?after={last}"))
    assert "p2.jpg" in second
    assert "p1.jpg" not in second
