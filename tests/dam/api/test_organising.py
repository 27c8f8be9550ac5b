"""Collections, grants, albums and saved searches over REST."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from dam.assets.models import Collection, Grant, Level
from tests.dam.api.conftest import assert_problem
from tests.dam.factories import AssetFactory

pytestmark = pytest.mark.django_db

# -------------------------------------------------------------- collections


def test_the_tree_begins_where_one_may_look_and_says_what_one_may(curator, place, hidden):
    AssetFactory.create_batch(2, collection=place)
    AssetFactory(collection=hidden)
    made = curator("POST", "collections/", {"parent": place.pk, "name": "Fairs", "description": "Stands"})
    assert made.status_code == 201, made.content
    assert made.headers["Location"] == f"/api/v1/collections/{made.json()['id']}/"
    top, below = curator.get("collections/")["results"]
    assert (top["name"], top["parent"], top["depth"], top["level"]) == ("Press", None, 0, "curate")
    assert top["total"] == {"value": 2, "exact": True, "estimated": False}
    assert (below["name"], below["parent"], below["depth"]) == ("Fairs", place.pk, 1)
    detail = curator.get(f"collections/{below['id']}/")
    assert [one["name"] for one in detail["path"]] == ["Press", "Fairs"]
    assert_problem(curator("GET", f"collections/{hidden.pk}/"), 404, "not-found")


def test_a_large_tree_comes_in_parts(curator, place):
    for name in "cab":
        curator("POST", "collections/", {"parent": place.pk, "name": name})
    first = curator.get("collections/", limit=2, counts="false")
    assert [one["name"] for one in first["results"]] == ["Press", "a"]
    assert first["results"][0]["count"] is None
    second = curator.get("collections/", limit=2, cursor=first["next"])
    assert [one["name"] for one in second["results"]] == ["b", "c"]
    assert second["next"] is None
    again = curator.get("collections/", limit=2, cursor=second["previous"])
    assert [one["name"] for one in again["results"]] == ["Press", "a"]


def test_a_collection_is_changed_moved_and_deleted_by_who_may(manager, curator, place, hidden):
    one = manager("POST", "collections/", {"parent": place.pk, "name": "One"}).json()["id"]
    two = manager("POST", "collections/", {"parent": place.pk, "name": "Two"}).json()["id"]
    cover = AssetFactory(collection_id=one)
    changed = manager("PATCH", f"collections/{one}/", {"default_licence": "CC0-1.0", "cover": cover.pk})
    assert (changed.json()["default_licence"], changed.json()["cover"]) == ("CC0-1.0", cover.pk)
    wrong = manager("PATCH", f"collections/{two}/", {"cover": cover.pk})
    assert list(wrong.json()["errors"]) == ["cover"]
    taken = assert_problem(manager("PATCH", f"collections/{one}/", {"name": "two"}), 400, "taken")
    assert list(taken["errors"]) == ["name"]
    assert manager("POST", f"collections/{one}/move/", {"parent": two}).json()["parent"] == two
    assert_problem(manager("POST", f"collections/{two}/move/", {"parent": one}), 400, "circle")
    unseen = manager("POST", f"collections/{one}/move/", {"parent": hidden.pk})
    assert_problem(unseen, 400, "unknown-collection")
    assert_problem(curator("DELETE", f"collections/{one}/"), 403, "not-allowed")
    assert_problem(manager("DELETE", f"collections/{one}/"), 400, "not-empty")
    manager("PATCH", f"assets/{cover.pk}/", {"collection": place.pk})
    assert manager("DELETE", f"collections/{one}/").status_code == 204
    assert not Collection.objects.filter(pk=one).exists()


# ------------------------------------------------------------------- grants


def test_a_manager_gives_and_takes_rights(manager, curator, stranger, place):
    path = f"collections/{place.pk}/grants/"
    assert stranger.get("collections/")["results"] == []
    given = manager("PUT", path, {"user": "zoe", "level": "download"}).json()
    assert (given["user"], given["group"], given["level"], given["inherited"]) == (
        "zoe",
        None,
        "download",
        False,
    )
    assert stranger.get("collections/")["results"][0]["level"] == "download"
    assert manager("PUT", path, {"user": "zoe", "level": "view"}).json()["id"] == given["id"]
    assert manager("DELETE", f"{path}{given['id']}/").status_code == 204
    assert stranger.get("collections/")["results"] == []
    Group.objects.create(name="Editors").user_set.add(stranger.user)
    assert manager("PUT", path, {"group": "Editors", "level": "curate"}).status_code == 200
    assert manager("PUT", path, {"level": "view"}).json()["user"] is None
    listed = manager.get(path)["results"]
    assert {(one["user"], one["group"], one["level"]) for one in listed} >= {
        ("max", None, "manage"),
        (None, "Editors", "curate"),
        (None, None, "view"),
    }


def test_only_managers_learn_who_may_what_or_which_names_there_are(curator, stranger, manager, place):
    path = f"collections/{place.pk}/grants/"
    grant = Grant.objects.get(user=curator.user).pk
    for body in ({"user": "nobody", "level": "view"}, {"user": "max", "level": "nonsense"}):
        assert_problem(curator("PUT", path, body), 403, "not-allowed")
        assert_problem(stranger("PUT", path, body), 404, "not-found")
    assert_problem(curator("GET", path), 403, "not-allowed")
    assert_problem(curator("DELETE", f"{path}{grant}/"), 403, "not-allowed")
    assert_problem(stranger("DELETE", f"{path}{grant}/"), 404, "not-found")
    assert_problem(manager("PUT", path, {"user": "nobody", "level": "view"}), 400, "unknown-user")
    assert_problem(manager("PUT", path, {"group": "nobody", "level": "view"}), 400, "unknown-group")
    assert_problem(manager("PUT", path, {"user": "max", "level": "view"}), 400, "locks-you-out")
    assert manager("PUT", path, {"user": "max", "level": "view", "force": True}).status_code == 200


def test_what_is_inherited_is_shown_as_such(manager, place):
    below = manager("POST", "collections/", {"parent": place.pk, "name": "Below"}).json()["id"]
    (grant,) = manager.get(f"collections/{below}/grants/")["results"]
    assert (grant["inherited"], grant["collection"]) == (True, {"id": place.pk, "name": "Press"})


# ------------------------------------------------------------------- albums


def test_an_album_shows_each_what_they_may_see_and_is_changed_by_its_owner(viewer, stranger, place, hidden):
    seen, second = AssetFactory.create_batch(2, collection=place)
    unseen = AssetFactory(collection=hidden)
    made = viewer("POST", "albums/", {"name": "Best", "assets": [second.pk]})
    assert (made.status_code, made.json()["mine"]) == (201, True)
    path = f"albums/{made.json()['id']}/"
    assert viewer("POST", f"{path}assets/", {"ids": [seen.pk, second.pk]}).json() == {"changed": 1}
    wrong = viewer("POST", f"{path}assets/", {"ids": [unseen.pk]})
    assert list(assert_problem(wrong, 400, "unknown-asset")["errors"]) == ["ids"]
    first = viewer.get(f"{path}assets/", limit=1)
    assert [one["id"] for one in first["results"]] == [second.pk]
    rest = viewer.get(f"{path}assets/", limit=1, cursor=first["next"])
    assert [one["id"] for one in rest["results"]] == [seen.pk]
    assert_problem(stranger("GET", path), 404, "not-found")
    Grant.objects.create(collection=place, user=stranger.user, level=Level.VIEW)
    assert stranger.get("albums/")["results"][0]["mine"] is False
    assert_problem(stranger("PATCH", path, {"name": "Mine"}), 403, "not-allowed")
    assert_problem(stranger("DELETE", f"{path}assets/{seen.pk}/"), 403, "not-allowed")
    assert viewer("PATCH", path, {"cover": seen.pk, "description": "So good"}).json()["cover"] == seen.pk
    assert viewer("DELETE", f"{path}assets/{seen.pk}/").status_code == 204
    assert viewer.get(path)["cover"] is None
    assert viewer("DELETE", f"{path}assets/{seen.pk}/").status_code == 404
    assert viewer("DELETE", path).status_code == 204
    assert viewer.get("albums/")["results"] == []


# ----------------------------------------------------------------- searches


def test_a_search_is_kept_shared_changed_and_forgotten(viewer, stranger):
    made = viewer("POST", "searches/", {"name": "Dogs", "query": "dog -cat", "sort": "name"})
    assert made.status_code == 201, made.content
    path = f"searches/{made.json()['id']}/"
    assert_problem(stranger("GET", path), 404, "not-found")
    assert viewer("PATCH", path, {"shared": True}).json()["shared"] is True
    (found,) = stranger.get("searches/")["results"]
    assert (found["query"], found["sort"], found["owner"], found["mine"]) == (
        "dog -cat",
        "name",
        "vera",
        False,
    )
    assert_problem(stranger("PATCH", path, {"name": "Mine"}), 403, "not-allowed")
    bad = assert_problem(viewer("PATCH", path, {"query": "(dog"}), 400, "bad-query")
    assert list(bad["errors"]) == ["query"]
    assert_problem(stranger("DELETE", path), 403, "not-allowed")
    assert viewer("DELETE", path).status_code == 204
    assert stranger.get("searches/")["results"] == []


def test_recent_searches_are_ones_own(viewer, stranger):
    for query in ("dog", "cat", "dog"):
        assert viewer("POST", "searches/recent/", {"query": query}).status_code == 204
    assert [one["query"] for one in viewer.get("searches/recent/")["results"]] == ["dog", "cat"]
    assert stranger.get("searches/recent/")["results"] == []
    assert viewer("DELETE", "searches/recent/").status_code == 204
    assert viewer.get("searches/recent/")["results"] == []


def test_who_asks_is_told_who_they_are_and_what_they_may_somewhere(curator, stranger):
    Group.objects.create(name="Editors").user_set.add(curator.user)
    body = curator.get("me/")
    assert (body["username"], body["groups"], body["is_superuser"]) == ("cora", ["Editors"], False)
    assert body["may"] == {
        "view": True,
        "download": True,
        "contribute": True,
        "curate": True,
        "manage": False,
    }
    assert not any(stranger.get("me/")["may"].values())
