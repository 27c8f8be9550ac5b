"""Why a search found each picture."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dam.assets.models import Album, AlbumEntry
from dam.assets.services import root_collection
from dam.assets.words import asset_words_write
from dam.search.reasons import Reason, reasons_for
from dam.search.selectors import search_assets
from tests.dam.factories import AssetFactory, ClaimFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory(username="anna")


def why(user, query):
    """Of the only picture that the query finds."""
    page = search_assets(user=user, query=query)
    (asset,) = page.assets
    return reasons_for(reading=page.reading, assets=[asset])[asset.pk]


def test_a_tag_says_what_it_is(user):
    animal = TagFactory(name="animal")
    tabby = TagFactory(name="tabby", parents=[animal], synonyms=["tabby cat"])
    AssetFactory(filename="1.jpg", tags=[tabby])
    assert why(user, "tabby") == why(user, "tag:tabby") == why(user, "tab*") == [Reason("tag", "tabby")]
    assert why(user, "animal") == [Reason("tag", "tabby", "tabby is an animal")]
    assert why(user, "tabby cat") == [Reason("tag", "tabby", "tabby is also called tabby cat")]
    assert why(user, "-cat animals") == [Reason("tag", "tabby", "tabby is an animal")]
    assert why(user, "tabyb") == [Reason("tag", "tabby")]


def test_words_are_shown_where_they_stand(user):
    text = "At dawn, when all the boats are still out, fog lies over the bay and the old bridges of the town."
    asset = AssetFactory(filename="SF_bay.jpg", title="Golden Gate", description=text)
    asset_words_write(asset_ids=[asset.pk])
    assert why(user, "golden") == why(user, "gol*") == [Reason("title", "Golden Gate")]
    assert why(user, "sf_bay") == [Reason("filename", "SF_bay.jpg")]
    (reason,) = why(user, '"fog lies"')
    assert (reason.kind, reason.text[0], reason.text[-1]) == ("description", "…", "…")
    assert "boats are still out, fog lies over" in reason.text
    assert [reason.kind for reason in why(user, "gate -dog bay")] == ["title", "description", "filename"]
    assert why(user, "goldne") == [Reason("title", "Golden Gate", "spelt like “goldne”")]


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ("width:>2000", [Reason("width", "4,032 px wide")]),
        ("size:>1mb", [Reason("size", "2.0\xa0MB")]),
        ("type:jpeg -type:png", [Reason("type", "JPEG")]),
        ("is:landscape", [Reason("is", "landscape")]),
        ("color:gray", [Reason("color", "grey")]),
        ("owner:me", [Reason("owner", "uploaded by anna")]),
        ("collection:library", [Reason("collection", "in Library")]),
        ("album:trip", [Reason("album", "in Trip")]),
        ("score:dog>0.5", [Reason("score", "dog 90 %")]),
        ("taken:none", [Reason("taken", "no date")]),
        ("licence:none", [Reason("licence", "no licence")]),
        ("width:>2000 OR width:<100", [Reason("width", "4,032 px wide")]),
        ("(color:red OR color:grey) width:>1", [Reason("width", "4,032 px wide"), Reason("color", "grey")]),
        ("-color:red", []),
    ],
)
def test_a_filter_says_the_fact_that_answers_it(user, query, reasons):
    root_collection()
    asset = AssetFactory(width=4032, size=2 * 1024**2, colours=["grey"], uploaded_by=user)
    ClaimFactory(asset=asset, tag=TagFactory(name="dog"), score=0.9)
    AlbumEntry.objects.create(album=Album.objects.create(name="Trip"), asset=asset)
    assert why(user, query) == reasons


def test_a_page_costs_as_many_queries_as_one_picture(user):
    tag = TagFactory(name="dog")
    for _ in range(8):
        AssetFactory(tags=[tag], title="Dog", width=4032)
    query = "dog (width:>2000 OR color:red) collection:library"
    costs = []
    for limit in (1, 8):
        page = search_assets(user=user, query=query, limit=limit)
        with CaptureQueriesContext(connection) as captured:
            reasons = reasons_for(reading=page.reading, assets=page.assets)
        costs.append(len(captured))
        assert len(reasons) == len(page.assets) == limit
    assert costs[0] == costs[1]


def test_nothing_asked_for_needs_no_reason(user):
    AssetFactory()
    page = search_assets(user=user, query=" ")
    assert len(page.assets) == 1
    assert reasons_for(reading=page.reading, assets=page.assets) == {}
    assert reasons_for(reading=search_assets(user=user, query="dog").reading, assets=[]) == {}
