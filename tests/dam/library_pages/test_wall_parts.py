"""What is loaded beside the wall: filters, dates, what is known of a picture, dialogs, saved searches."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.models import Asset, Grant, Level
from dam.search import timeline
from dam.search.models import RecentSearch, SavedSearch
from tests.dam.factories import AssetFactory, CollectionFactory, TagFactory, UserFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret() -> Asset:
    """A picture in a collection of which Anna may know nothing; what others may is as before."""
    asset = AssetFactory(filename="secret.jpg", camera="Spycam", tags=[TagFactory(name="plan")])
    hidden = CollectionFactory(name="Hidden")
    shown = CollectionFactory(name="Shown")
    Grant.objects.all().delete()
    Grant.objects.create(collection=shown, level=Level.MANAGE)
    Asset.objects.filter(pk=asset.pk).update(collection=hidden)
    AssetFactory(filename="open.jpg", collection=shown)
    return asset


def test_nothing_beside_the_wall_tells_of_pictures_that_one_may_not_see(
    client: Client, secret: Asset
) -> None:
    for address in ("/facets/", "/timeline/", "/selection/move/", "/", "/searches/menu/?q=pl"):
        html = text(client.get(address))
        for word in ("plan", "Spycam", "Hidden", "secret", "Library</option>"):
            assert word not in html.replace("Library</h1>", ""), (address, word)
    assert "1 picture" in text(client.get("/timeline/"))
    assert client.get(f"/assets/{secret.pk}/info/").status_code == 404


def test_who_may_see_nothing_gets_empty_pages(client: Client, secret: Asset) -> None:
    Grant.objects.all().delete()
    for address in ("/", "/facets/", "/timeline/", "/tags/", "/selection/move/", "/searches/"):
        assert client.get(address).status_code == 200, address


def test_what_is_known_of_a_picture_says_why_it_was_found_and_where_it_lives(
    client: Client, anna: User
) -> None:
    animal = TagFactory(name="animal")
    asset = AssetFactory(
        uploaded_by=anna, tags=[TagFactory(name="tabby", parents=[animal])], licence="CC0-1.0"
    )
    html = text(client.get(f"/assets/{asset.pk}/info/", {"q": "animal"}))
    assert "tabby is an animal" in html
    assert "CC0-1.0" in html
    assert asset.collection.name in html
    assert "Why it was found" not in text(client.get(f"/assets/{asset.pk}/info/", {"q": "(broken"}))


def test_a_filter_whose_term_is_in_the_search_takes_it_out_again(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna, tags=[TagFactory(name="hot dog", slug="hot-dog")])
    html = text(client.get("/facets/", {"q": "tag:hot-dog beach OR sea", "fragment": "1"}))
    assert "is-selected" not in html  # an alternative: the tag is no part that has to hold
    html = text(client.get("/facets/", {"q": 'TAG:"hot-dog"', "sort": "name", "fragment": "1"}))
    assert re.search(r'is-selected">\s*<a class="facet-include" href="/\?sort=name"', html)


def test_a_search_that_cannot_be_understood_has_no_filters_and_no_dates(client: Client) -> None:
    response = client.get("/facets/", {"q": "(dog", "fragment": "1"})
    assert response.status_code == 400
    assert "This bracket is not closed." in text(response)
    assert client.get("/timeline/", {"q": "(dog"}).status_code == 404
    assert client.get("/timeline/", {"sort": "name"}).status_code == 404


def test_a_month_of_an_address_is_where_the_page_begins_and_nonsense_is_the_top(
    client: Client, anna: User
) -> None:
    for number in range(4):
        asset = AssetFactory(filename=f"{number}.jpg", uploaded_by=anna)
        at = datetime(2024, 1 + number, 15, tzinfo=UTC)
        Asset.objects.filter(pk=asset.pk).update(created_at=at)

    def first(at: str) -> str:
        found = re.search(r'data-name="(.*?)"', text(client.get("/", {"at": at})))
        return found[1] if found else ""

    assert first("2024-02") == "1.jpg"
    assert first("2024-03") == "2.jpg"
    assert first("2030-01") == first("2024-13") == first("nonsense") == "3.jpg"


def test_more_pictures_than_are_counted_are_estimated_and_said_to_be(
    client: Client, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "EXACT_BOUND", 9)
    for _ in range(30):
        AssetFactory(uploaded_by=anna)
    found = timeline.timeline_of(user=anna)
    assert found.estimated
    assert [year.count for year in found.years] == [30]  # every id is in one of the stretches
    assert "≈ 30" in text(client.get("/timeline/"))


def test_saved_searches_are_one_s_own_to_change(client: Client, anna: User) -> None:
    other = UserFactory(username="ben")
    theirs = SavedSearch.objects.create(owner=other, name="Theirs", query="dog", shared=True)
    SavedSearch.objects.create(owner=other, name="Private", query="cat")
    html = text(client.get("/searches/"))
    assert "Theirs" in html
    assert "Private" not in html
    for act in ("change", "delete"):
        assert client.post(f"/searches/{theirs.pk}/{act}/", {"name": "Mine"}).status_code == 404
    assert client.post("/searches/save/", {"name": "Broken", "q": "(dog"}).status_code == 400
    client.post("/searches/save/", {"name": "Dogs", "q": "dog", "sort": "name"})
    mine = SavedSearch.objects.get(owner=anna)
    client.post(f"/searches/{mine.pk}/change/", {"name": "All dogs", "shared": "on"})
    mine.refresh_from_db()
    assert (mine.name, mine.query, mine.sort, mine.shared) == ("All dogs", "dog", "name", True)
    client.post(f"/searches/{mine.pk}/delete/")
    assert not SavedSearch.objects.filter(owner=anna).exists()


def test_searches_are_remembered_and_forgotten_and_pages_of_one_are_not_counted(
    client: Client, anna: User
) -> None:
    AssetFactory(uploaded_by=anna)
    client.get("/", {"q": "dog"})
    client.get("/", {"q": "(dog"})
    client.get("/", {"q": "cat", "fragment": "1"})
    assert list(RecentSearch.objects.filter(user=anna).values_list("query", flat=True)) == ["dog"]
    assert client.get("/searches/menu/").json()["recent"] == [{"query": "dog", "address": "/?q=dog"}]
    client.post("/searches/forget/")
    assert client.get("/searches/menu/").json() == {"saved": [], "recent": []}


def test_filters_are_offered_for_what_is_typed(client: Client) -> None:
    fields = client.get("/searches/menu/", {"q": "wid"}).json()["fields"]
    assert [field["term"] for field in fields] == ["width:"]


def test_an_example_of_nobody_or_somebody_else_has_no_page(client: Client) -> None:
    assert client.get("/similar/1/").status_code == 404


def test_what_looks_alike_is_not_said_to_be_sorted_by_date(client: Client, anna: User) -> None:
    asset = AssetFactory(uploaded_by=anna)
    html = text(client.get("/", {"q": f"similar:{asset.pk}"}))
    assert "Most similar first" in html
    assert "Newest first" not in html
    assert "Name" in text(client.get("/", {"q": f"similar:{asset.pk}", "sort": "name"}))
