"""What a search finds, counts and suggests, on the real database."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth.models import AnonymousUser

from dam.search import walking
from dam.search.language import SearchError
from dam.search.paging import SORTS, CursorError
from dam.search.selectors import (
    asset_get,
    count_assets,
    neighbours,
    rejected_claims,
    search_assets,
    shown_claims,
)
from dam.search.tags import suggest_tags
from dam.tagging.models import Claim, Decision
from dam.tagging.services import decision_make
from tests.dam.factories import AssetFactory, ClaimFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def animals():
    """A small vocabulary: animal > dog > beagle, golden retriever; hot dog is food."""
    animal = TagFactory(name="animal", kind="ancestor")
    dog = TagFactory(name="dog", kind="ancestor", parents=[animal], synonyms=["domestic dog"])
    return {
        "animal": animal,
        "dog": dog,
        "cat": TagFactory(name="cat", parents=[animal]),
        "beagle": TagFactory(name="beagle", parents=[dog]),
        "golden retriever": TagFactory(name="golden retriever", parents=[dog]),
        "hot dog": TagFactory(name="hot dog", synonyms=["frankfurter", "red hot"]),
        "crème brûlée": TagFactory(name="crème brûlée"),
    }


@pytest.fixture
def library(animals):
    """One asset per tag, named after nothing, and some that only have names."""
    for tag in animals.values():
        AssetFactory(filename=f"{tag.name}!.jpg".replace(tag.name, f"of{tag.pk}"), title="", tags=[tag])
    AssetFactory(filename="dog_at_the_beach.jpg")
    AssetFactory(filename="IMG_2041.JPG", title="Golden Gate Bridge", description="Fog over the bay.")
    AssetFactory(filename="gate golden.png")
    return animals


def found(user, query, **options):
    """File names or, for assets with tags, the first tag's name."""
    page = search_assets(user=user, query=query, **options)
    return sorted(next((c.tag.name for c in shown_claims(asset)), asset.filename) for asset in page.assets)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("beagle", ["beagle"]),
        ("dog", ["beagle", "dog", "dog_at_the_beach.jpg", "golden retriever"]),
        ("dogs", ["beagle", "dog", "golden retriever"]),
        ("DOG", ["beagle", "dog", "dog_at_the_beach.jpg", "golden retriever"]),
        ("animal", ["animal", "beagle", "cat", "dog", "golden retriever"]),
        ("domestic dog", ["beagle", "dog", "golden retriever"]),
        ("hot dog", ["hot dog"]),
        ("hot-dog", ["hot dog"]),
        ("hot dogs", ["hot dog"]),
        ("frankfurter", ["hot dog"]),
        ("hot", ["hot dog"]),
        ("retriever", ["golden retriever"]),
        ("golden retriever", ["golden retriever"]),
        ("creme brulee", ["crème brûlée"]),
        ("Brûlée", ["crème brûlée"]),
        ("dog beach", ["dog_at_the_beach.jpg"]),
        ("tag:dog", ["beagle", "dog", "golden retriever"]),
        ("tag:hot-dog", ["hot dog"]),
        ('tag:"hot dog"', ["hot dog"]),
        ("tag:frankfurter", ["hot dog"]),
        ("tag:hot", []),
        ("dog -tag:dog", ["dog_at_the_beach.jpg"]),
        ("dog -beagle", ["dog", "dog_at_the_beach.jpg", "golden retriever"]),
        ("-animal -golden -gate", ["crème brûlée", "dog_at_the_beach.jpg", "hot dog"]),
        ("cat OR beagle", ["beagle", "cat"]),
        ("(cat OR dog) -retriever", ["beagle", "cat", "dog", "dog_at_the_beach.jpg"]),
        ("-(cat OR dog OR golden) animal", ["animal"]),
        ('"golden gate"', ["IMG_2041.JPG"]),
        ("gate golden", ["IMG_2041.JPG", "gate golden.png", "golden retriever"][:2]),
        ("img_2041", ["IMG_2041.JPG"]),
        ("2041", ["IMG_2041.JPG"]),
        ("fog", ["IMG_2041.JPG"]),
        ('"hot dog"', ["hot dog"]),
        ("dog & beach !", ["dog_at_the_beach.jpg"]),
        ("unheard-of", []),
    ],
)
def test_a_query_finds_what_people_mean(user, library, query, names):
    assert found(user, query) == sorted(names)


def test_everything_is_found_by_nothing(user, library):
    assert len(search_assets(user=user).assets) == len(library) + 3


def test_an_unknown_tag_finds_nothing_and_says_so(user, library):
    page = search_assets(user=user, query="tag:unicorn")
    assert (page.assets, page.notices) == ([], ("There is no tag “unicorn”.",))


def test_punctuation_alone_finds_nothing_and_says_so(user, library):
    page = search_assets(user=user, query="🐶 !")
    assert (page.assets, page.notices) == ([], ("There is no letter or digit to search for.",))


def test_an_inactive_tag_is_no_word_but_keeps_its_address(user, library):
    tag = library["beagle"]
    tag.active = False
    tag.save()
    assert found(user, "beagle") == []
    assert found(user, "tag:beagle") == ["beagle"]


def test_a_rejected_tag_never_matches(user):
    tag = TagFactory(name="fox")
    asset = AssetFactory(tags=[tag])
    assert len(search_assets(user=user, query="fox").assets) == 1
    decision_make(asset=asset, tag=tag, verdict=Decision.Verdict.REJECTED, user=user)
    assert search_assets(user=user, query="fox").assets == []
    assert rejected_claims(asset_get(user=user, asset_id=asset.pk))[0].tag == tag


def test_an_asset_without_words_is_found_by_what_it_is_not(user):
    asset = AssetFactory()
    type(asset).objects.update(words=None)
    assert search_assets(user=user, query="-dog").assets == [asset]


def test_the_name_of_two_tags_finds_both_and_their_addresses_tell_them_apart(user):
    bird, machine = TagFactory(name="crane"), TagFactory(name="crane", slug="crane-machine")
    AssetFactory(filename="1.jpg", tags=[bird])
    AssetFactory(filename="2.jpg", tags=[machine])
    assert len(search_assets(user=user, query="crane").assets) == 2
    assert [a.filename for a in search_assets(user=user, query="tag:crane-machine").assets] == ["2.jpg"]
    assert [a.filename for a in search_assets(user=user, query="tag:crane").assets] == ["1.jpg"]


def test_who_is_not_signed_in_finds_nothing(library):
    nobody = AnonymousUser()
    assert search_assets(user=nobody).assets == []
    assert count_assets(user=nobody).value == 0
    assert all(suggestion.count.value == 0 for suggestion in suggest_tags(user=nobody, text="dog"))


# ------------------------------------------------------------------- paging


def dated(day):
    return None if day is None else dt.datetime(2026, 1, day, tzinfo=dt.UTC)


@pytest.fixture
def twelve():
    """Ties in every column, and some assets without a date."""
    days = [3, 1, None, 2, 2, None, 1, None, 3, 2, None, 1]
    return [
        AssetFactory(filename=f"n{i % 4}.jpg", size=i % 3, taken_at=dated(day)) for i, day in enumerate(days)
    ]


EXPECTED = {
    "newest": lambda asset: -asset.pk,
    "oldest": lambda asset: asset.pk,
    "name": lambda asset: (asset.sort_name, asset.pk),
    "size": lambda asset: (-asset.size, -asset.pk),
    "taken": lambda asset: (asset.taken_at is None, -asset.taken_at.day if asset.taken_at else 0, -asset.pk),
}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("limit", [1, 5, 12, 50])
def test_pages_follow_each_other_without_gap_or_repetition_and_lead_back(user, twelve, sort, limit):
    wanted = [asset.pk for asset in sorted(twelve, key=EXPECTED[sort])]
    pages = []
    cursor = None
    while True:
        page = search_assets(user=user, sort=sort, cursor=cursor, limit=limit)
        pages.append([asset.pk for asset in page.assets])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [pk for ids in pages for pk in ids] == wanted
    for earlier in reversed(pages[:-1]):
        page = search_assets(user=user, sort=sort, cursor=page.previous_cursor, limit=limit)
        assert [asset.pk for asset in page.assets] == earlier
        assert page.next_cursor is not None
    assert page.previous_cursor is None


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("longest", [0, 6, 1_000])
@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("-size:1", lambda asset: asset.size != 1),
        ("taken:2026-01-01", lambda asset: asset.taken_at == dated(1)),
        (
            "taken:2026-01-01..2026-01-02 -size:1",
            lambda a: a.taken_at in (dated(1), dated(2)) and a.size != 1,
        ),
        ("taken:none", lambda asset: asset.taken_at is None),
        ("taken:2026-01-03 OR size:1", lambda asset: asset.taken_at == dated(3) or asset.size == 1),
    ],
)
def test_pages_are_the_same_whether_the_order_is_followed_or_what_fits_is_gathered(
    user, twelve, monkeypatch, *, sort, longest, query, fits
):
    monkeypatch.setattr(walking, "FIRST_STRETCH", 2)
    monkeypatch.setattr(walking, "LONGEST_STRETCH", longest)
    monkeypatch.setattr(walking, "planned_rows", lambda rows: 1_000)
    wanted = [asset.pk for asset in sorted(twelve, key=EXPECTED[sort]) if fits(asset)]
    pages, cursor = [], None
    while True:
        page = search_assets(user=user, query=query, sort=sort, cursor=cursor, limit=2)
        pages.append([asset.pk for asset in page.assets])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [pk for ids in pages for pk in ids] == wanted
    back = search_assets(user=user, query=query, sort=sort, cursor=page.previous_cursor, limit=2)
    assert [asset.pk for asset in back.assets] == pages[-2]


@pytest.mark.parametrize("sort", SORTS)
def test_neighbours_are_the_assets_beside_it_in_the_search(user, twelve, sort):
    wanted = [asset.pk for asset in sorted(twelve, key=EXPECTED[sort])]
    for place, pk in enumerate(wanted):
        beside = neighbours(user=user, query="", sort=sort, asset=asset_get(user=user, asset_id=pk))
        assert beside.previous == (wanted[place - 1] if place else None)
        assert beside.next == (wanted[place + 1] if place + 1 < len(wanted) else None)


def test_an_asset_uploaded_meanwhile_moves_no_page(user, twelve):
    first = search_assets(user=user, limit=5)
    AssetFactory()
    second = search_assets(user=user, limit=5, cursor=first.next_cursor)
    assert [a.pk for a in second.assets] == [a.pk for a in reversed(twelve)][5:10]


def test_a_changed_or_foreign_cursor_is_refused(user, twelve):
    cursor = search_assets(user=user, limit=5).next_cursor
    with pytest.raises(CursorError):
        search_assets(user=user, cursor=cursor[:-1] + ("a" if cursor[-1] != "a" else "b"))
    with pytest.raises(CursorError):
        search_assets(user=user, cursor=cursor, sort="size")
    with pytest.raises(CursorError):
        search_assets(user=user, cursor="x")


def test_a_page_costs_the_same_number_of_queries_however_long_it_is(user, animals, django_assert_num_queries):
    for _ in range(8):
        AssetFactory(tags=[animals["beagle"], animals["cat"]])
    for limit in (1, 7):
        # names of tags, rights, ids, assets with files, claims, their tags
        with django_assert_num_queries(6):
            page = search_assets(user=user, query="dog", limit=limit)
            for asset in page.assets:
                assert asset.current_version.blob.sha256
                assert asset.uploaded_by.username
                assert {claim.tag.name for claim in shown_claims(asset)} == {"beagle", "cat"}


def test_claims_come_best_first(user):
    asset = AssetFactory()
    for name, score, state in [("b", 0.6, "suggested"), ("a", 0.8, "suggested"), ("c", None, "accepted")]:
        ClaimFactory(asset=asset, tag=TagFactory(name=name), score=score, state=state)
    ClaimFactory(asset=asset, tag=TagFactory(name="d"), score=0.9, state=Claim.State.REJECTED)
    (loaded,) = search_assets(user=user).assets
    assert [claim.tag.name for claim in shown_claims(loaded)] == ["c", "a", "b"]


# -------------------------------------------------- counts and suggestions


def test_a_count_is_exact_up_to_its_bound(user):
    for _ in range(4):
        AssetFactory()
    assert str(count_assets(user=user, bound=4)) == "4"
    beyond = count_assets(user=user, bound=3)
    assert (beyond.value, beyond.exact, str(beyond)) == (3, False, "3+")


def test_a_count_of_a_bad_query_says_so(user):
    with pytest.raises(SearchError):
        count_assets(user=user, query="(")


def test_suggestions_put_exact_names_first_then_names_then_synonyms(user, library):
    def names(text):
        return [suggestion.tag.name for suggestion in suggest_tags(user=user, text=text)]

    TagFactory(name="doghouse")
    TagFactory(name="sea dog")
    assert names("dog") == ["dog", "doghouse", "hot dog", "sea dog"]
    assert names("golden r") == ["golden retriever"]
    assert names("Crème") == ["crème brûlée"]
    assert names("") == names("%") == names("_") == []


def test_a_suggestion_tells_the_synonym_and_how_many_assets(user, library):
    (suggestion,) = suggest_tags(user=user, text="frank")
    assert (suggestion.tag.name, suggestion.matched) == ("hot dog", "frankfurter")
    (dog,) = suggest_tags(user=user, text="dog", limit=1)
    assert (dog.matched, str(dog.count)) == ("", "3")
