"""The library and its search, and the list of tags that leads there."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dam.assets.models import Asset
from dam.tagging.models import Claim, Tag
from tests.dam.factories import AssetFactory, ClaimFactory, TagFactory
from tests.dam.library_pages.rendered import picture_made, text

pytestmark = pytest.mark.django_db


def names_on_cards(html: str) -> list[str]:
    return re.findall(r'<li class="card".*?<span class="card-name">(.*?)</span>', html, re.DOTALL)


def test_an_empty_library_offers_to_upload(client: Client) -> None:
    html = text(client.get("/"))
    assert "Your library is empty" in html
    assert 'data-upload="folder"' in html


def test_pages_of_the_library_follow_each_other_without_gaps_or_repeats(client: Client, anna: User) -> None:
    for number in range(130):
        picture_made(AssetFactory(filename=f"p{number:03}.jpg", uploaded_by=anna))
    seen: list[str] = []
    address = "/?sort=name"
    for _ in range(3):
        html = text(client.get(f"{address}&fragment=1"))
        seen += names_on_cards(html)
        more = re.search(r'href="([^"]*)"[^>]* data-more', html)
        address = more[1].replace("&amp;", "&") if more else ""
    assert seen == [f"p{number:03}.jpg" for number in range(130)]
    assert address == ""


def test_a_page_of_the_library_costs_for_many_pictures_what_it_does_for_few(
    client: Client, anna: User
) -> None:
    tag = TagFactory(name="dog")

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get("/?q=tag:dog")
        return len(captured)

    for _ in range(3):
        picture_made(AssetFactory(uploaded_by=anna, tags=[tag]))
    client.get("/?q=tag:dog")  # a search that one has done before
    few = queries()
    for _ in range(37):
        picture_made(AssetFactory(uploaded_by=anna, tags=[tag]))
    assert queries() <= few + 1  # the planner may be asked what the search will find


def test_a_query_that_cannot_be_understood_is_shown_with_the_place(client: Client) -> None:
    html = text(client.get("/", {"q": 'dog "golden <b>'}))
    assert "This quotation mark is not closed." in html
    assert "Column 5" in html
    assert "dog <mark>&quot;</mark>golden &lt;b&gt;" in html


def test_each_part_of_a_query_is_a_chip_whose_link_leaves_it_out(client: Client, anna: User) -> None:
    TagFactory(name="hot dog", slug="hot-dog")
    AssetFactory(uploaded_by=anna, filename="beach.jpg")
    html = text(client.get("/", {"q": 'tag:hot-dog -cat (beach OR "deep sea")', "sort": "name"}))
    chips = re.findall(r'<a class="chip[^"]*" href="([^"]*)" aria-label="Remove (.*?) from the search"', html)
    left = {label: parse_qs(href.replace("&amp;", "&").removeprefix("?")) for href, label in chips}
    assert left == {
        "hot dog": {"q": ['-cat (beach OR "deep sea")'], "sort": ["name"]},
        "not cat": {"q": ['tag:hot-dog (beach OR "deep sea")'], "sort": ["name"]},
        "beach OR &quot;deep sea&quot;": {"q": ["tag:hot-dog -cat"], "sort": ["name"]},
    }


def test_a_search_without_hits_offers_to_leave_a_part_out(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna)
    html = text(client.get("/", {"q": "unicorn dog"}))
    assert "Nothing matches “unicorn dog”" in html
    assert "Leave out “unicorn”" in html


def test_a_stale_cursor_leads_back_to_the_first_page(client: Client) -> None:
    response = client.get("/", {"q": "dog", "cursor": "nonsense"})
    assert response.status_code == 302
    assert response.headers["Location"] == "/?q=dog"


def test_an_unknown_sort_is_the_default_one(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna)
    assert "Newest first" in text(client.get("/", {"sort": "by-magic"}))


def test_a_card_says_what_is_wrong_with_its_picture(client: Client, anna: User) -> None:
    AssetFactory(uploaded_by=anna, state=Asset.State.FAILED, reason="corrupt")
    AssetFactory(uploaded_by=anna, state=Asset.State.PENDING)
    html = text(client.get("/"))
    assert "Damaged file" in html
    assert re.search(r'data-state="pending".*?Tagging', html, re.DOTALL)


def test_only_settled_cards_are_given_to_pages_that_wait(client: Client, anna: User) -> None:
    done = AssetFactory(uploaded_by=anna)
    waiting = AssetFactory(uploaded_by=anna, state=Asset.State.PENDING)
    html = text(client.get("/cards/", {"ids": f"{waiting.pk},{done.pk},99999999,x,-1", "settled": "1"}))
    assert re.findall(r'data-asset-id="(\d+)"', html) == [str(done.pk)]


def test_file_names_and_tags_are_text_and_never_markup(client: Client, anna: User) -> None:
    evil = '"><script>alert(1)</script>.jpg'
    asset = AssetFactory(
        uploaded_by=anna,
        filename=evil,
        tags=[TagFactory(name="<b>bold</b>", slug="bold")],
    )
    picture_made(asset)
    for address in ("/", f"/assets/{asset.pk}/", "/tags/"):
        html = text(client.get(address))
        assert "<script>alert" not in html
        assert "<b>bold" not in html
        assert "&lt;" in html


def test_the_tags_page_counts_what_occurs_and_shows_a_picture_of_each(client: Client, anna: User) -> None:
    animal = TagFactory(name="animal", kind=Tag.Kind.ANCESTOR)
    dog = TagFactory(name="dog", parents=[animal])
    TagFactory(name="unused")
    for _ in range(3):
        picture_made(AssetFactory(uploaded_by=anna, tags=[dog]))
    picture_made(AssetFactory(uploaded_by=anna, tags=[animal]))
    html = text(client.get("/tags/"))
    covers = re.findall(r'<span class="cover-name"><span>(.*?)</span><span>(.*?)</span>', html)
    assert covers == [("animal", "4"), ("dog", "3")]
    assert "unused" not in html
    pictures = re.findall(r'<img src="([^"]*)"', html)
    assert len(set(pictures)) == 2


def cover_of(html: str, name: str) -> str:
    """Id of the asset on the cover of a tag."""
    found = re.search(
        r'assets/(\d+)/renditions/grid[^"]*"(?:(?!</a>).)*cover-name"><span>' + name, html, re.DOTALL
    )
    assert found is not None
    return found[1]


def test_a_tag_s_cover_is_the_picture_that_shows_it_most_surely(client: Client, anna: User) -> None:
    animal = TagFactory(name="animal", kind=Tag.Kind.ANCESTOR)
    dog = TagFactory(name="dog", parents=[animal])

    def picture(score: float, state: str = Claim.State.SUGGESTED) -> str:
        asset = picture_made(AssetFactory(uploaded_by=anna, tag_ids=[animal.pk, dog.pk]))
        ClaimFactory(asset=asset, tag=dog, score=score, state=state)
        return str(asset.pk)

    sure = picture(0.9)
    surest = picture(0.99)
    picture(0.6)
    html = text(client.get("/tags/"))
    # The rarer one, or the later tag of as many pictures, chooses first; no picture is shown twice.
    assert (cover_of(html, "dog"), cover_of(html, "animal")) == (surest, sure)
    accepted = picture(0.5, Claim.State.ACCEPTED)
    picture(0.7)
    html = text(client.get("/tags/"))
    assert (cover_of(html, "dog"), cover_of(html, "animal")) == (accepted, surest)


def test_more_pictures_cost_the_tags_page_no_more_queries(client: Client, anna: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get("/tags/")
        return len(captured)

    for number in range(3):
        picture_made(AssetFactory(uploaded_by=anna, tags=[TagFactory(name=f"tag {number}")]))
    few = queries()
    for number in range(9):
        picture_made(AssetFactory(uploaded_by=anna, tags=[TagFactory(name=f"tag {number}")]))
    assert queries() == few


def test_the_tags_page_says_so_when_there_are_none(client: Client) -> None:
    assert "No tags yet" in text(client.get("/tags/"))
