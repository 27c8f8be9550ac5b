"""One picture over REST: its texts, its rights, where it lies, its trash, its files, its history."""

from __future__ import annotations

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from dam.assets.models import Asset, Grant, Level
from tests.dam.api.conftest import assert_problem
from tests.dam.factories import AssetFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def picture(place):
    return AssetFactory(collection=place, filename="dog.jpg")


def file(colour, name="new.png"):
    stream = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(stream, "PNG")
    return SimpleUploadedFile(name, stream.getvalue())


def test_texts_and_rights_are_edited_and_what_is_left_out_stays(curator, picture):
    changes = {
        "title": "A dog",
        "description": "In the garden.",
        "licence": "CC-BY-4.0",
        "copyright_holder": "Ada",
        "credit": "Photo: Ada",
        "release_status": "obtained",
        "expires_on": "2020-01-31",
        "embargo_until": None,
    }
    body = curator("PATCH", f"assets/{picture.pk}/", changes).json()
    assert {key: body[key] for key in changes} == changes
    assert body["mark"] == "expired"
    after = curator("PATCH", f"assets/{picture.pk}/", {"expires_on": None}).json()
    assert (after["title"], after["expires_on"], after["mark"]) == ("A dog", None, "")
    assert curator.get(f"assets/{picture.pk}/") == after


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"titel": "x"}, "titel"),
        ({"expires_on": "soon"}, "expires_on"),
        ({"release_status": "maybe"}, "release_status"),
        ({"title": "x" * 256}, "title"),
        ({"collection": 999_999}, "collection"),
        ({"title": "x\x00"}, "title"),
    ],
)
def test_what_makes_no_sense_is_told_by_field_and_changes_nothing(curator, picture, sent, field):
    response = curator("PATCH", f"assets/{picture.pk}/", {"description": "new", **sent})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert Asset.objects.get(pk=picture.pk).description == ""


def test_who_may_only_look_is_refused_and_who_may_not_is_told_of_nothing(viewer, stranger, picture):
    for path, method, body in (
        (f"assets/{picture.pk}/", "PATCH", {"title": "x"}),
        (f"assets/{picture.pk}/", "DELETE", None),
        (f"assets/{picture.pk}/versions/1/restore/", "POST", None),
    ):
        assert_problem(viewer(method, path, body), 403, "not-allowed")
        assert_problem(stranger(method, path, body), 404, "not-found")


def test_a_picture_is_moved_to_where_one_may_put_pictures(curator, picture, hidden):
    response = curator("PATCH", f"assets/{picture.pk}/", {"collection": hidden.pk})
    assert response.json()["code"] == "unknown-collection"
    Grant.objects.create(collection=hidden, user=curator.user, level=Level.CONTRIBUTE)
    moved = curator("PATCH", f"assets/{picture.pk}/", {"collection": hidden.pk, "title": "Moved"})
    assert moved.json()["collection"] == {"id": hidden.pk, "name": "Secret"}


def test_an_upload_goes_to_the_collection_that_is_named(curator, viewer, place, hidden):
    made = curator.post_file("assets/", file=file("red"), collection=place.pk)
    assert (made.status_code, made.json()["collection"]["id"]) == (201, place.pk)
    assert_problem(viewer.post_file("assets/", file=file("blue"), collection=place.pk), 403, "not-allowed")
    refused = curator.post_file("assets/", file=file("blue"), collection=hidden.pk)
    assert_problem(refused, 400, "unknown-collection")


def test_the_trash_is_a_way_with_return_and_purging_one_without(curator, manager, viewer, picture):
    assert curator("DELETE", f"assets/{picture.pk}/").status_code == 204
    assert_problem(curator("GET", f"assets/{picture.pk}/"), 404, "not-found")
    assert curator.get("assets/")["results"] == []
    assert [one["id"] for one in curator.get("trash/")["results"]] == [picture.pk]
    assert curator.get("trash/")["results"][0]["trashed_at"]
    assert viewer.get("trash/")["results"] == []
    assert curator("POST", "trash/restore/", {"ids": [picture.pk]}).json() == {"changed": 1, "refused": []}
    curator("DELETE", f"assets/{picture.pk}/")
    refused = curator("POST", "trash/purge/", {"ids": [picture.pk]}).json()
    assert (refused["changed"], refused["refused"][0]["code"]) == (0, "not-allowed")
    unknown = viewer("POST", "trash/purge/", {"ids": [picture.pk]}).json()
    assert unknown["refused"] == [
        {"id": picture.pk, "name": "", "code": "not-found", "reason": "There is no such picture."}
    ]
    assert manager("POST", "trash/purge/", {"ids": [picture.pk]}).json()["changed"] == 1
    assert not Asset.objects.exists()


def test_a_file_is_replaced_and_an_earlier_one_comes_back(curator, viewer, place):
    made = curator.post_file("assets/", file=file("red", "first.png"), collection=place.pk).json()
    path = f"assets/{made['id']}/versions/"
    replaced = curator.post_file(path, file=file("blue", "second.png"))
    assert replaced.status_code == 201, replaced.content
    assert (replaced.json()["version"], replaced.json()["filename"]) == (2, "second.png")
    assert_problem(curator.post_file(path, file=file("blue")), 400, "same-bytes")
    assert curator.post_file(path, file=SimpleUploadedFile("a.png", b"words")).status_code == 415
    versions = curator.get(path)["results"]
    assert [(one["number"], one["filename"], one["current"]) for one in versions] == [
        (2, "second.png", True),
        (1, "first.png", False),
    ]
    assert [one["number"] for one in viewer.get(path)["results"]] == [2]
    back = curator("POST", f"{path}1/restore/")
    assert (back.json()["version"], back.json()["sha256"]) == (3, made["sha256"])
    assert_problem(curator("POST", f"{path}9/restore/"), 404, "not-found")


def test_what_was_done_to_a_picture_is_told_to_who_may_change_it(curator, viewer, manager, picture):
    curator("PATCH", f"assets/{picture.pk}/", {"title": "A dog"})
    curator("DELETE", f"assets/{picture.pk}/")
    curator("POST", "trash/restore/", {"ids": [picture.pk]})
    entries = curator.get(f"assets/{picture.pk}/history/")["results"]
    assert [one["action"] for one in entries] == ["asset.restore", "asset.trash", "asset.edit"]
    assert entries[2]["changes"] == {"title": ["", "A dog"]}
    assert (entries[2]["actor"], entries[2]["address"]) == ("cora", "127.0.0.1")
    assert viewer.get(f"assets/{picture.pk}/history/")["results"] == []
    assert len(manager.get("history/", object_type="asset")["results"]) == 3
    assert len(manager.get("history/", actor="cora", action="asset.trash")["results"]) == 1
    assert viewer.get("history/")["results"] == []
    assert_problem(manager("GET", "history/?since=yesterday"), 400, "invalid")


def test_a_long_history_comes_in_pages(curator, picture):
    for number in range(5):
        curator("PATCH", f"assets/{picture.pk}/", {"title": f"Number {number}"})
    path, titles, cursor = f"assets/{picture.pk}/history/", [], ""
    while cursor is not None:
        page = curator.get(path, limit=2, cursor=cursor)
        titles += [one["changes"]["title"][1] for one in page["results"]]
        cursor = page["next"]
    assert titles == [f"Number {number}" for number in range(4, -1, -1)]


def test_licences_are_offered_and_what_expires_is_told_to_who_curates(curator, viewer, place):
    assert {"id": "CC0-1.0", "name": "CC0 1.0 (no rights reserved)"} in viewer.get("licences/")["results"]
    late = AssetFactory(collection=place, expires_on="2020-05-01")
    early = AssetFactory(collection=place, expires_on="2020-01-01")
    AssetFactory(collection=place, expires_on="2999-01-01")
    assert [one["id"] for one in curator.get("rights/expiring/")["results"]] == [early.pk, late.pk]
    first = curator.get("rights/expiring/", limit=1)
    second = curator.get("rights/expiring/", limit=1, cursor=first["next"])
    assert [one["id"] for one in second["results"]] == [late.pk]
    assert curator.get("rights/expiring/", expired="false")["results"] == []
    assert viewer.get("rights/expiring/")["results"] == []
