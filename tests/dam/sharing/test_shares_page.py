"""The page of links, and who may know of which."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dam.assets.models import Grant, Level
from dam.audit.models import AuditEntry
from dam.sharing.models import Share
from dam.sharing.services import share_create
from tests.dam.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def titles(user) -> list[str]:
    return [row["share"].title for row in signed_in(user).get("/shares/").context["rows"]]


@pytest.fixture
def three(anna, allow, picture, press) -> list[Share]:
    """A link of Anna to a picture, one of Berta's to a picture, one of hers to the collection."""
    berta = UserFactory(username="berta")
    asset = picture()
    for user in (anna, berta):
        allow(user, Level.VIEW)
    return [
        share_create(user=anna, kind="pictures", asset_ids=[asset.pk], title="Anna's"),
        share_create(user=berta, kind="pictures", asset_ids=[asset.pk], title="Berta's"),
        share_create(user=berta, kind="collection", collection=press, title="Berta's Press"),
    ]


def test_everybody_sees_their_own_managers_those_to_their_collections_and_superusers_all(three, anna, allow):
    assert titles(anna) == ["Anna's"]
    assert titles(three[1].created_by) == ["Berta's Press", "Berta's"]
    assert titles(StaffFactory()) == ["Berta's Press", "Berta's", "Anna's"]
    allow(anna, Level.CURATE)
    assert titles(anna) == ["Anna's"]
    allow(anna, Level.MANAGE)
    assert titles(anna) == ["Berta's Press", "Anna's"]


def test_a_manager_revokes_a_link_of_somebody_else_and_does_not_change_it(three, anna, allow):
    allow(anna, Level.MANAGE)
    client = signed_in(anna)
    of_press = three[2]
    address = f"/api/v1/shares/{of_press.pk}/"
    refused = client.patch(address, {"title": "Mine"}, content_type="application/json")
    assert refused.status_code == 403

    assert client.post(f"/shares/{of_press.pk}/revoke/").status_code == 302

    of_press.refresh_from_db()
    assert of_press.revoked_at is not None
    entry = AuditEntry.objects.get(action="share.revoke")
    assert (entry.actor, entry.object_id, entry.collection_id) == (anna, of_press.pk, of_press.collection_id)
    client.post(f"/shares/{of_press.pk}/revoke/")
    assert AuditEntry.objects.filter(action="share.revoke").count() == 1


def test_a_link_that_somebody_may_not_know_of_is_not_found(three, anna):
    client = signed_in(anna)
    of_berta = three[1]
    assert client.post(f"/shares/{of_berta.pk}/revoke/").status_code == 404
    for method in (client.get, client.delete, client.patch):
        assert method(f"/api/v1/shares/{of_berta.pk}/").status_code in {404, 415}
    of_berta.refresh_from_db()
    assert of_berta.revoked_at is None


def test_the_page_tells_how_each_link_stands(three, anna, picture, press, allow):
    allow(anna, Level.VIEW)
    Share.objects.filter(pk=three[0].pk).update(uses=3, last_used_at=timezone.now() - timedelta(hours=2))
    ended = share_create(user=anna, kind="collection", collection=press, title="Old")
    Share.objects.filter(pk=ended.pk).update(expires_at=timezone.now() - timedelta(days=1))

    text = " ".join(signed_in(anna).get("/shares/").content.decode().split())

    assert "Opened 3 times" in text
    assert "Never opened" in text
    assert "Expired" in text
    assert "Collection Press" in text
    Grant.objects.filter(user=anna).delete()
    text = signed_in(anna).get("/shares/").content.decode()
    assert "Collection Press" not in text
    assert "A collection that you do not see any more" in text


def test_a_stranger_is_sent_to_sign_in(stranger, db):
    assert stranger.get("/shares/").status_code == 302
