"""One act on many pictures over REST."""

from __future__ import annotations

import pytest

from dam.assets.models import Asset, Grant, Level
from dam.tagging.models import Decision, Tag
from tests.dam.api.conftest import assert_problem
from tests.dam.factories import AssetFactory, TagFactory

pytestmark = pytest.mark.django_db

BULK = "assets/bulk/"


@pytest.fixture
def three(place):
    return [AssetFactory(collection=place, filename=f"{name}.jpg") for name in ("dog", "cat", "donut")]


def ids(assets):
    return {"ids": [asset.pk for asset in assets]}


def test_pictures_are_tagged_by_name_and_the_tag_is_taken_back(curator, three):
    made = curator("POST", BULK, {"selection": ids(three), "action": "tag", "tag": "Summer fair"})
    assert made.json() == {"changed": 3, "refused": []}
    assert curator.get("assets/", q='tag:"summer fair"')["results"][0]["tags"][0]["source"] == "person"
    body = {"selection": ids(three[:1]), "action": "undecide", "tag": "summer-fair"}
    assert curator("POST", BULK, body).json()["changed"] == 1
    assert Decision.objects.count() == 2
    dog = TagFactory(name="dog")
    rejected = curator("POST", BULK, {"selection": ids(three), "action": "untag", "tag": "dog"})
    assert rejected.json()["changed"] == 3
    assert Decision.objects.filter(tag=dog, verdict="rejected").count() == 3
    unknown = curator("POST", BULK, {"selection": ids(three), "action": "untag", "tag": "unicorn"})
    assert_problem(unknown, 400, "unknown-tag")
    assert not Tag.objects.filter(name="unicorn").exists()


def test_all_that_a_query_finds_is_meant_but_for_a_few(curator, three):
    chosen = {"query": "dog or cat or donut".upper(), "excluded": [three[2].pk]}
    body = {"selection": chosen, "action": "edit", "fields": {"credit": "Ada", "expires_on": "2030-01-01"}}
    assert curator("POST", BULK, body).json() == {"changed": 2, "refused": []}
    assert list(Asset.objects.order_by("pk").values_list("credit", flat=True)) == ["Ada", "Ada", ""]


def test_those_that_one_may_not_change_stay_and_are_named(curator, three, hidden, library):
    Grant.objects.create(collection=library, user=curator.user, level=Level.VIEW)
    foreign = AssetFactory(collection=library, filename="foreign.jpg")
    body = {"selection": {"ids": [three[0].pk, foreign.pk, 10**9]}, "action": "trash"}
    result = curator("POST", BULK, body).json()
    assert result["changed"] == 1
    assert [(one["id"], one["name"], one["code"]) for one in result["refused"]] == [
        (10**9, "", "not-found"),
        (foreign.pk, "foreign.jpg", "not-allowed"),
    ]
    assert Asset.objects.get(pk=foreign.pk).trashed_at is None
    back = curator("POST", BULK, {"selection": ids(three[:1]), "action": "restore"}).json()
    assert back == {"changed": 1, "refused": []}


def test_pictures_are_moved_and_put_into_albums_that_one_knows(curator, three, place, hidden):
    below = curator("POST", "collections/", {"parent": place.pk, "name": "Below"}).json()["id"]
    moved = curator("POST", BULK, {"selection": ids(three), "action": "move", "collection": below})
    assert moved.json()["changed"] == 3
    assert set(Asset.objects.values_list("collection", flat=True)) == {below}
    refused = curator("POST", BULK, {"selection": ids(three), "action": "move", "collection": hidden.pk})
    assert_problem(refused, 400, "unknown-collection")
    album = curator("POST", "albums/", {"name": "Best"}).json()["id"]
    for action, left in (("album-add", 3), ("album-remove", 0)):
        body = {"selection": ids(three), "action": action, "album": album}
        assert curator("POST", BULK, body).json()["changed"] == 3
        assert len(curator.get(f"albums/{album}/assets/")["results"]) == left
    nowhere = curator("POST", BULK, {"selection": ids(three), "action": "album-add", "album": 10**9})
    assert_problem(nowhere, 400, "unknown-album")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"selection": {}, "action": "trash"}, "selection"),
        ({"selection": {"ids": []}, "action": "trash"}, "selection"),
        ({"selection": {"ids": [1], "query": ""}, "action": "trash"}, "selection"),
        ({"selection": {"ids": [1]}, "action": "explode"}, "action"),
        ({"selection": {"ids": [1]}, "action": "tag"}, "tag"),
        ({"selection": {"ids": [1]}, "action": "edit", "fields": {"titel": "x"}}, "fields"),
        ({"selection": {"ids": [1]}, "action": "edit", "fields": {"expires_on": "x"}}, "fields"),
        ({"selection": {"ids": [1]}, "action": "trash", "really": True}, "really"),
        ({"action": "trash"}, "selection"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_field(curator, three, body, field):
    response = curator("POST", BULK, body)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]


def test_a_query_that_cannot_be_read_is_refused_with_its_column(curator):
    response = curator("POST", BULK, {"selection": {"query": "(dog"}, "action": "trash"})
    assert assert_problem(response, 400, "bad-query")["column"]
