"""Beginnings of words, and words that were mistyped."""

from __future__ import annotations

import pytest

from dam.assets.models import Asset, Collection, LibraryWord
from dam.assets.words import asset_words_write, library_words_refresh
from dam.search.compile_spelling import distance
from dam.search.selectors import search_assets
from tests.dam.factories import AssetFactory, StaffFactory, TagFactory, UserFactory
from tests.dam.tagging_scene import picture

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def library():
    beagle, retriever = TagFactory(name="beagle"), TagFactory(name="golden retriever")
    made = [
        AssetFactory(filename="1.jpg", tags=[beagle]),
        AssetFactory(filename="2.jpg", tags=[retriever]),
        AssetFactory(filename="3.jpg", title="Golden Gate Bridge", description="Fog over the bay."),
        AssetFactory(filename="IMG_2041.jpg"),
    ]
    asset_words_write(asset_ids=[asset.pk for asset in made])
    return made


def found(user, query):
    return {asset.filename for asset in search_assets(user=user, query=query).assets}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("bea*", {"1.jpg"}),
        ("retr*", {"2.jpg"}),
        ("Brid*", {"3.jpg"}),
        ("gold*", {"2.jpg", "3.jpg"}),
        ("gold* brid*", {"3.jpg"}),
        ("gold* -fog", {"2.jpg"}),
        ("img_20*", {"IMG_2041.jpg"}),
        ("tag:gold*", {"2.jpg"}),
        ("-tag:gold* jpg", {"1.jpg", "3.jpg", "IMG_2041.jpg"}),
        ("zz*", set()),
        ('"gold*"', set()),
    ],
)
def test_a_star_stands_for_the_rest_of_a_word(user, library, query, names):
    assert found(user, query) == names


@pytest.mark.parametrize(
    ("query", "names", "tags"),
    [
        ("baegle", {"1.jpg"}, ": beagle"),
        ("beagel", {"1.jpg"}, ": beagle"),
        ("bagle", {"1.jpg"}, ": beagle"),
        ("golden retreiver", {"2.jpg"}, ": golden retriever"),
        ("brigde", {"3.jpg"}, ""),
        ("fgo", {"3.jpg"}, ""),
        ("unicorn", set(), ""),
    ],
)
def test_a_mistyped_word_finds_what_is_spelt_like_it(user, library, query, names, tags):
    page = search_assets(user=user, query=query)
    assert {asset.filename for asset in page.assets} == names
    typed = query.split()[-1]
    assert page.notices == (
        f"Nothing is called “{typed}”. Words spelt like it were searched for, too{tags}.",
    )


def test_what_is_known_is_not_taken_for_a_slip(user, library):
    TagFactory(name="bride")
    for query in ("bridge", "2014", "be", '"brigde"', "brigde*", "-brigde"):
        assert search_assets(user=user, query=query).notices == ()
    assert found(user, "-beagel") == {asset.filename for asset in library}


def test_a_word_of_hidden_pictures_is_as_unknown_as_any(user, library):
    closed = Collection.objects.add_root(create_kwargs={"name": "Closed"})
    hidden = AssetFactory(title="Zeppelin", collection=closed)
    asset_words_write(asset_ids=[hidden.pk])
    for word in ("zeppelin", "zepelin", "zerrelin"):
        page = search_assets(user=user, query=word)
        assert page.assets == []
        assert page.notices == (f"Nothing is called “{word}”. Words spelt like it were searched for, too.",)
    assert search_assets(user=StaffFactory(), query="zepelin").assets == [hidden]


def test_the_words_of_a_picture_follow_its_texts(user):
    asset = AssetFactory(filename="a.jpg")
    Asset.objects.filter(pk=asset.pk).update(title="Crème brûlée", description="x" * 3_000_000)
    asset_words_write(asset_ids=[asset.pk])
    assert found(user, "creme brulee") == {"a.jpg"}
    assert set(LibraryWord.objects.values_list("word", flat=True)) == {"creme", "brulee", "jpg"}
    asset_words_write(asset_ids=[])


def test_an_upload_is_found_by_its_name_and_by_a_slip_of_it(person, upload):
    upload()
    assert found(person, "png") == {"a.png"}
    assert LibraryWord.objects.filter(word="png").exists()
    assert picture().read(4)


def test_the_words_of_the_library_can_be_gathered_anew(library):
    LibraryWord.objects.all().delete()
    LibraryWord.objects.create(word="forgotten")
    assert library_words_refresh() == {"words_added": 9, "words_forgotten": 1}
    assert library_words_refresh() == {"words_added": 0, "words_forgotten": 0}
    assert set(LibraryWord.objects.values_list("word", flat=True)) == {
        "golden", "gate", "bridge", "fog", "over", "the", "bay", "jpg", "img",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [("dog", "dog", 0), ("dgo", "dog", 1), ("", "dog", 3), ("retreiver", "retriever", 1), ("abc", "ca", 3)],
)
def test_slips_are_counted(one, other, slips):
    assert distance(one, other) == distance(other, one) == slips
