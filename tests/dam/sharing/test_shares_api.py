"""Links over REST."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dam.assets.models import Album, AlbumEntry, Level
from dam.audit.models import AuditEntry
from dam.sharing.models import Share
from tests.dam.factories import CollectionFactory, UserFactory

pytestmark = pytest.mark.django_db

SHARES = "/api/v1/shares/"


def send(client, body, address=SHARES, method="post", **headers):
    return getattr(client, method)(address, body, content_type="application/json", **headers)


def test_a_link_is_made_read_changed_and_revoked(client, anna, allow, picture):
    allow(anna, Level.VIEW)
    asset = picture()
    until = timezone.now() + timedelta(days=7)
    body = {
        "selection": {"ids": [asset.pk]},
        "title": "For the paper",
        "password": "secret-1",
        "may_download": True,
        "fields": ["licence", "title"],
        "expires_at": until.isoformat(),
    }

    made = send(client, body)

    assert made.status_code == 201, made.content
    share = Share.objects.get()
    found = made.json()
    assert found["url"] == f"http://testserver/s/{share.key}/"
    assert found["fields"] == ["title", "licence"]
    assert found["has_password"] is True
    assert "password" not in found
    assert share.password != "secret-1"
    address = made.headers["Location"]
    assert client.get(address).json() == found
    changed = send(client, {"title": "New", "password": ""}, address, "patch").json()
    assert (changed["title"], changed["has_password"], changed["may_download"]) == ("New", False, True)
    assert client.get(SHARES).json()["results"] == [changed]
    assert client.delete(address).status_code == 204
    assert client.get(address).json()["state"] == "revoked"
    assert send(client, {"title": "Newer"}, address, "patch").json()["code"] == "revoked"
    acts = AuditEntry.objects.order_by("id").values_list("action", "actor", "object_id")
    assert list(acts.filter(object_type="share")) == [
        (act, anna.pk, share.pk) for act in ("share.create", "share.edit", "share.revoke")
    ]
    edit = AuditEntry.objects.get(action="share.edit")
    assert edit.changes == {"title": ["For the paper", "New"], "password": "removed"}


def test_nobody_overwrites_unseen_what_another_changed(client, anna, allow, picture, share_of):
    allow(anna, Level.VIEW)
    address = f"{SHARES}{share_of(picture()).pk}/"
    etag = client.get(address).headers["ETag"]
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert send(client, {"title": "One"}, address, "patch", headers={"If-Match": etag}).status_code == 200
    late = send(client, {"title": "Two"}, address, "patch", headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert client.get(address).json()["title"] == "One"


def test_a_link_to_what_a_search_finds_shows_what_it_found_then(client, anna, allow, picture):
    allow(anna, Level.VIEW)
    one, two, three = (picture(f"{name}.jpg") for name in ("a", "b", "c"))
    made = send(client, {"selection": {"query": "", "excluded": [two.pk]}})
    assert made.status_code == 201, made.content
    picture("later.jpg")
    entries = Share.objects.get().entries.values_list("asset", flat=True)
    assert set(entries) == {one.pk, three.pk}


def test_a_link_to_a_collection_or_an_album_says_so(client, anna, allow, press, picture):
    allow(anna, Level.VIEW)
    album = Album.objects.create(name="Best", owner=anna)
    AlbumEntry.objects.create(album=album, asset=picture())
    assert send(client, {"collection": press.pk}).json()["collection"] == {"id": press.pk, "name": "Press"}
    found = send(client, {"album": album.pk}).json()
    assert (found["album"], found["title"]) == ({"id": album.pk, "name": "Best"}, "Best")


def test_what_somebody_may_not_see_cannot_be_shared_and_is_not_told_from_what_is_not_there(
    client, anna, allow, picture
):
    allow(anna, Level.VIEW)
    hidden = CollectionFactory(name="Hidden")
    unseen = picture(collection=hidden)
    album = Album.objects.create(name="Theirs", owner=UserFactory())
    AlbumEntry.objects.create(album=album, asset=unseen)
    for real, unreal in (
        ({"selection": {"ids": [unseen.pk]}}, {"selection": {"ids": [unseen.pk + 1000]}}),
        ({"collection": hidden.pk}, {"collection": hidden.pk + 1000}),
        ({"album": album.pk}, {"album": album.pk + 1000}),
    ):
        answers = [send(client, body) for body in (real, unreal)]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[0].json() == answers[1].json()
    assert not Share.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"fields": ["secrets"]}, "fields"),
        ({"password": "short"}, "password"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"title": "x" * 201}, "title"),
        ({"collection": 1}, "non_field_errors"),
        ({"selection": {}}, "selection"),
        ({"selection": {"ids": [1], "query": "a"}}, "selection"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(*, wrong, field, client, anna, allow, picture):
    allow(anna, Level.VIEW)
    answer = send(client, {"selection": {"ids": [picture().pk]}} | wrong)
    assert answer.status_code == 400
    assert field in answer.json()["errors"]
    assert not Share.objects.exists()


def test_what_must_not_be_used_cannot_be_shared_by_itself(client, anna, allow, picture):
    allow(anna, Level.MANAGE)
    asset = picture(expires_on=timezone.now().date() - timedelta(days=1))
    answer = send(client, {"selection": {"ids": [asset.pk]}})
    assert (answer.status_code, answer.json()["code"]) == (400, "unusable")


def test_the_list_comes_in_pages(client, anna, allow, picture, share_of):
    allow(anna, Level.VIEW)
    asset = picture()
    ids = [share_of(asset).pk for _ in range(3)]
    first = client.get(SHARES, {"limit": 2}).json()
    second = client.get(SHARES, {"limit": 2, "cursor": first["next"]}).json()
    assert [share["id"] for share in first["results"] + second["results"]] == ids[::-1]
    assert second["next"] is None
    assert client.get(SHARES, {"cursor": "made-up"}).json()["code"] == "bad-cursor"
