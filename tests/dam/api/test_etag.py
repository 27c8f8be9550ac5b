"""Edits over REST that overwrite nobody's."""

from __future__ import annotations

import pytest

from dam.assets.models import Asset
from dam.search.models import SavedSearch
from tests.dam.api.conftest import assert_problem
from tests.dam.factories import AssetFactory, ClaimFactory, TagFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def picture(place):
    return AssetFactory(collection=place, title="A dog")


def test_who_edits_what_somebody_edited_meanwhile_is_told_and_changes_nothing(curator, picture):
    path = f"assets/{picture.pk}/"
    etag = curator("GET", path).headers["ETag"]
    first = curator("PATCH", path, {"title": "A small dog"}, If_Match=etag)
    assert (first.status_code, first.json()["title"]) == (200, "A small dog")
    assert first.headers["ETag"] != etag
    assert_problem(curator("PATCH", path, {"title": "A cat"}, If_Match=etag), 412, "changed-meanwhile")
    assert_problem(curator("DELETE", path, If_Match=etag), 412, "changed-meanwhile")
    assert Asset.objects.get(pk=picture.pk).title == "A small dog"
    assert curator("PATCH", path, {"title": "A cat"}, If_Match=first.headers["ETag"]).status_code == 200


def test_what_a_machine_writes_disturbs_no_editor_and_is_seen_by_who_asks_again(curator, picture):
    path = f"assets/{picture.pk}/"
    etag = curator("GET", path).headers["ETag"]
    assert curator("GET", path, If_None_Match=etag).status_code == 304
    ClaimFactory(asset=picture, tag=TagFactory(name="dog"))
    assert curator("GET", path, If_None_Match=etag).status_code == 200
    assert curator("PATCH", path, {"credit": "Ada"}, If_Match=etag).status_code == 200


@pytest.mark.parametrize("sent", ['"0123.4567"', "nonsense", '"a", "b"', ""])
def test_an_etag_that_was_never_given_out_fits_nothing(curator, picture, sent):
    response = curator("PATCH", f"assets/{picture.pk}/", {"title": "B"}, If_Match=sent)
    assert_problem(response, 412, "changed-meanwhile")


def test_any_state_will_do_for_a_star_and_a_server_in_front_may_weaken_an_etag(curator, picture):
    path = f"assets/{picture.pk}/"
    assert curator("PATCH", path, {"title": "B"}, If_Match="*").status_code == 200
    etag = curator("GET", path).headers["ETag"]
    assert curator("GET", path, If_None_Match=f"W/{etag}").status_code == 304
    assert curator("PATCH", path, {"title": "C"}, If_Match=f'"other", W/{etag}').status_code == 200


def test_collections_albums_and_searches_are_protected_alike(manager, place):
    album = manager("POST", "albums/", {"name": "Best"}).json()["id"]
    search = manager("POST", "searches/", {"name": "Dogs", "query": "dog"}).json()["id"]
    for path in (f"collections/{place.pk}/", f"albums/{album}/", f"searches/{search}/"):
        etag = manager("GET", path).headers["ETag"]
        assert manager("GET", path, If_None_Match=etag).status_code == 304
        changed = manager("PATCH", path, {"name": "Renamed"}, If_Match=etag)
        assert (changed.status_code, changed.json()["name"]) == (200, "Renamed"), changed.content
        assert_problem(manager("DELETE", path, If_Match=etag), 412, "changed-meanwhile")
        assert manager("DELETE", path, If_Match=changed.headers["ETag"]).status_code == 204
    assert not SavedSearch.objects.exists()
