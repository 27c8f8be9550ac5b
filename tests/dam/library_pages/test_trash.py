"""The page of the trash."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dam.assets.models import Asset, Level
from dam.assets.services import root_collection
from dam.library import trash_page
from tests.dam.factories import AssetFactory, CollectionFactory, GrantFactory, UserFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db

SCRIPT = {"Accept": "application/json"}


def thrown(**facts: object) -> Asset:
    asset: Asset = AssetFactory(trashed_at=timezone.now(), **facts)
    return asset


def test_what_one_may_bring_back_is_listed_and_comes_back(client: Client, anna: User) -> None:
    own, other = thrown(uploaded_by=anna, filename="own.jpg"), thrown(filename="other.jpg")
    html = text(client.get("/trash/"))
    assert "own.jpg" in html
    assert "other.jpg" not in html
    assert "Delete for ever" not in html
    assert client.post("/trash/restore/", {"ids": other.pk}, headers=SCRIPT).status_code == 404
    answer = client.post("/trash/restore/", {"ids": own.pk}, headers=SCRIPT)
    assert answer.json()["said"] == "1 picture restored."
    own.refresh_from_db()
    assert own.trashed_at is None
    assert "The trash is empty" in text(client.get("/trash/"))


def test_only_who_manages_deletes_for_ever(client: Client, anna: User) -> None:
    place = CollectionFactory()
    GrantFactory(collection=place, user=anna, level=Level.CURATE)
    asset = thrown(collection=place)
    assert client.post("/trash/purge/", {"ids": asset.pk}, headers=SCRIPT).status_code == 403
    place.grants.update(level=Level.MANAGE)
    assert "Delete for ever" in text(client.get("/trash/"))
    assert client.post("/trash/purge/", {"ids": asset.pk}, headers=SCRIPT).status_code == 200
    assert not Asset.objects.filter(pk=asset.pk).exists()


def test_the_small_picture_is_shown_to_whom_it_may_be_brought_back_alone(anna: User) -> None:
    root_collection()
    asset = thrown(uploaded_by=anna)
    for user in (anna, UserFactory()):
        client = Client()
        client.force_login(user)
        # No worker has made one: what matters here is that nothing else is said to others.
        assert client.get(f"/trash/{asset.pk}/picture/").status_code == 404


def test_a_full_trash_comes_in_pages(client: Client, anna: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash_page, "PAGE_SIZE", 2)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        thrown(uploaded_by=anna, filename=name)
    html = text(client.get("/trash/"))
    assert "c.jpg" in html
    assert "a.jpg" not in html
    more = html.split('href="?before=')[1].split('"')[0]
    second = text(client.get(f"/trash/?before={more}"))
    assert "a.jpg" in second
    assert "c.jpg" not in second
    assert "c.jpg" in text(client.get("/trash/?before=nonsense"))


def test_a_form_that_chooses_nothing_or_nonsense_is_refused(client: Client, anna: User) -> None:
    for ids in ([], ["x"], ["9" * 30]):
        assert client.post("/trash/restore/", {"ids": ids}, headers=SCRIPT).status_code == 400
    plain = client.post("/trash/restore/", {"ids": []})
    assert plain.status_code == 400
    assert "Choose something first." in text(plain)
