"""What a search can be narrowed by, and how many would be left: exact, or an estimate that says so."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser

from dam.assets.models import Asset, Collection, Grant, Level
from dam.assets.services import root_collection
from dam.search import sampling
from dam.search.counting import Count, two_figures
from dam.search.facets import facets_of
from dam.search.language import SearchError
from dam.search.sampling import sample_for
from dam.search.selectors import count_assets
from dam.search.tags import suggest_tags
from dam.search.terms import term_add
from tests.dam.factories import AssetFactory, ClaimFactory, CollectionFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory(username="Grace Hopper")


@pytest.fixture
def animals():
    animal = TagFactory(name="animal", kind="ancestor")
    return {
        "animal": animal,
        "dog": TagFactory(name="dog", parents=[animal]),
        "hot dog": TagFactory(name="hot dog"),
    }


@pytest.fixture
def library(user, animals):
    """Assets that differ in everything that is a facet."""
    harbour = CollectionFactory(name="Harbour")
    summer = dt.datetime(2024, 7, 1, 12, tzinfo=dt.UTC)
    AssetFactory(tags=[animals["dog"]], taken_at=summer, camera="Leica M3", colours=["red", "grey"])
    AssetFactory(
        tags=[animals["dog"]], width=480, height=640, taken_at=summer, camera="Leica M3 (2)", colours=["grey"]
    )
    AssetFactory(
        tags=[animals["hot dog"]],
        width=5,
        height=5,
        media_type="image/png",
        collection=harbour,
        licence="CC-BY-4.0",
        taken_at=summer.replace(year=2019),
    )
    failed = AssetFactory(
        state=Asset.State.FAILED,
        reason="corrupt",
        media_type="image/heif",
        collection=Collection.objects.add_child(harbour, create_kwargs={"name": "Pier"}),
        uploaded_by=user,
        licence="CC-BY-4.0-DEED",
    )
    ClaimFactory(asset=failed, tag=animals["dog"])


def values(found):
    return {facet.name: {value.label: str(value.count) for value in facet.values} for facet in found.facets}


def test_every_value_of_every_facet_is_counted(user, library):
    found = facets_of(user=user)
    assert (str(found.total), found.estimated) == ("4", False)
    told = values(found)
    assert told["tag"] == {"animal": "2", "dog": "2", "hot dog": "1"}
    assert told["type"] == {"JPEG": "2", "HEIC": "1", "PNG": "1"}
    assert told["orientation"] == {"landscape": "2", "portrait": "1", "square": "1"}
    assert told["colour"] == {"grey": "2", "red": "1"}
    assert told["camera"] == {"Leica M3": "1", "Leica M3 (2)": "1"}
    assert list(told["year"].items()) == [("2024", "2"), ("2019", "1")]
    assert told["collection"] == {"Library": "4", "Harbour": "2", "Pier": "1"}
    assert told["uploader"]["Grace Hopper"] == "1"
    assert told["state"] == {"tagged": "3", "failed": "1", "untagged": "1", "needs-review": "1"}


@pytest.mark.parametrize("query", ["", "dog", "tag:dog OR type:png", "-tag:hot-dog"])
def test_each_value_leads_to_as_many_pictures_as_it_says(user, library, query):
    found = facets_of(user=user, query=query)
    assert count_assets(user=user, query=query) == found.total
    for facet in found.facets:
        for value in facet.values:
            narrowed = count_assets(user=user, query=term_add(query, value.term))
            assert narrowed == value.count, value.term
            assert narrowed.value > 0
            without = count_assets(user=user, query=term_add(query, value.term, negated=True))
            assert (without.value == 0) == value.all_have_it, value.term


def test_what_a_person_may_not_see_is_neither_counted_nor_named(user, library):
    secret = CollectionFactory(name="Secret")
    Grant.objects.filter(collection=root_collection(), user=None, group=None).delete()
    hidden = AssetFactory(collection=secret, camera="Spy", tags=[TagFactory(name="plan")])
    assert facets_of(user=user).facets == []
    assert facets_of(user=AnonymousUser()).total == Count(0, exact=True)
    Grant.objects.create(collection=secret, user=user, level=Level.VIEW)
    told = values(facets_of(user=user))
    assert (told["collection"], told["camera"]) == ({"Secret": "1"}, {"Spy": "1"})
    Asset.objects.filter(pk=hidden.pk).update(trashed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert facets_of(user=user).facets == []


def test_a_query_that_finds_nothing_has_no_facets(user, library):
    found = facets_of(user=user, query="tag:unicorn")
    assert (found.total, found.facets) == (Count(0, exact=True), [])


def test_facets_of_a_bad_query_say_so(user):
    with pytest.raises(SearchError):
        facets_of(user=user, query="(")


# ---------------------------------------------------------------- estimates


@pytest.fixture
def large_library(monkeypatch):
    """A library of which only a part is looked at: every second picture is a dog, every tenth is red."""
    monkeypatch.setattr(sampling, "_SMALL_LIBRARY", 100)
    monkeypatch.setattr(sampling, "_EXPECTED_EXACT", 100)
    monkeypatch.setattr(sampling, "_HINT_IDS", 100)
    monkeypatch.setattr(sampling, "_ENOUGH_MATCHES", 300)
    dog, cat = TagFactory(name="dog"), TagFactory(name="cat")
    first = AssetFactory(tags=[dog])
    Asset.objects.bulk_create(
        Asset(
            collection=first.collection,
            filename=f"{number}.jpg",
            sort_name=f"{number}.jpg",
            width=2,
            height=1,
            size=1,
            media_type="image/jpeg",
            state=Asset.State.TAGGED,
            colours=["red"] if number % 10 == 0 else ["blue"],
            tag_ids=[dog.pk] if number % 2 == 0 else [cat.pk],
        )
        for number in range(1, 2400)
    )


def test_a_large_result_is_estimated_in_two_figures_and_says_so(user, large_library):
    found = facets_of(user=user)
    assert found.estimated
    assert found.total.value == pytest.approx(2400, rel=0.05)
    assert str(found.total).startswith("≈ ")
    told = {value.term: value.count for facet in found.facets for value in facet.values}
    assert told["tag:dog"].value == pytest.approx(1200, rel=0.15)
    assert told["color:red"].value == pytest.approx(240, rel=0.5)
    assert all(count.estimated and not count.exact for count in told.values())
    assert count_assets(user=user, query="dog").estimated


def test_a_small_result_of_a_large_library_is_exact(user, large_library):
    AssetFactory(tags=[TagFactory(name="okapi")])
    found = facets_of(user=user, query="okapi")
    assert (found.total, found.estimated) == (Count(1, exact=True), False)
    assert values(found)["tag"] == {"okapi": "1"}


def test_the_same_share_is_looked_at_wherever_the_pictures_lie(user, large_library):
    """Evenly spread: of the oldest half as much as of the newest, within the length of a stretch or two."""
    rows = Asset.objects.all()
    sample = sample_for(rows)
    looked = sorted(sample.of(rows).values_list("pk", flat=True))
    middle = rows.order_by("pk")[1200].pk
    older = sum(pk < middle for pk in looked)
    assert len(looked) == pytest.approx(2400 * sample.share, rel=0.02)
    assert older == pytest.approx(len(looked) / 2, rel=0.1)


def test_hints_beside_tags_are_estimates_for_common_ones_and_left_out_for_rare_ones(user, large_library):
    AssetFactory(tags=[TagFactory(name="doge")])
    hints = {each.tag.name: each.count for each in suggest_tags(user=user, text="dog")}
    assert hints["dog"].estimated
    assert hints["dog"].value == pytest.approx(1200, rel=0.25)
    assert hints["doge"] is None


@pytest.mark.parametrize(
    ("number", "shown"), [(0.2, 1), (7.4, 7), (94.6, 95), (385_123, 390_000), (999_999, 1_000_000)]
)
def test_an_estimate_has_two_figures(number, shown):
    assert two_figures(number) == shown
