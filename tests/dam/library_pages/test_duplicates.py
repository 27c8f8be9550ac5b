"""The page of pictures that look the same."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.models import Asset, Level
from dam.assets.services import root_collection
from dam.curation.models import DuplicatePair
from dam.tagging.models import Likeness
from tests.dam.factories import AssetFactory, CollectionFactory, GrantFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db

SCRIPT = {"Accept": "application/json"}


def pair(**facts: object) -> DuplicatePair:
    first = AssetFactory(width=4000, height=3000, title="Large", **facts)
    second = AssetFactory(width=400, height=300, **facts)
    for asset in (first, second):
        Likeness.objects.create(asset=asset, fingerprint=5)
    return DuplicatePair.objects.create(first=first, second=second, distance=3)


def test_both_are_shown_with_what_tells_them_apart(client: Client) -> None:
    found = pair()
    html = text(client.get("/duplicates/"))
    assert '<td class="is-better">4,000 × 3,000</td>' in html
    assert "1 pair to decide on" in html
    assert "Keep this one" not in html
    assert client.post(f"/duplicates/{found.pk}/dismiss/", headers=SCRIPT).status_code == 403


def test_one_is_kept_or_both_are_two(client: Client, anna: User) -> None:
    GrantFactory(collection=root_collection(), user=anna, level=Level.CURATE)
    found, other = pair(), pair()
    stranger = AssetFactory()
    assert "Keep this one" in text(client.get("/duplicates/"))
    assert client.post(f"/duplicates/{found.pk}/keep/{stranger.pk}/", headers=SCRIPT).status_code == 404
    assert client.post(f"/duplicates/{found.pk}/keep/{found.second_id}/", headers=SCRIPT).status_code == 200
    assert Asset.objects.get(pk=found.first_id).trashed_at is not None
    assert Asset.objects.get(pk=found.second_id).title == "Large"
    client.post(f"/duplicates/{other.pk}/dismiss/", headers=SCRIPT)
    assert "No two look the same" in text(client.get("/duplicates/"))


def test_a_pair_of_which_one_is_hidden_is_no_pair(client: Client) -> None:
    found = pair()
    hidden = CollectionFactory()
    root_collection().grants.all().delete()
    seen = CollectionFactory()
    GrantFactory(collection=seen, level=Level.VIEW)
    Asset.objects.filter(pk=found.first_id).update(collection=seen)
    Asset.objects.filter(pk=found.second_id).update(collection=hidden)
    assert "No two look the same" in text(client.get("/duplicates/"))
    assert client.get("/duplicates/?cursor=nonsense").status_code == 302
