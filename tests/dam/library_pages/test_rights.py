"""The page that tells whoever curates what may soon, no longer, or not yet be used."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dam.assets.models import Level
from tests.dam.factories import AssetFactory, CollectionFactory, GrantFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


def test_each_kind_is_listed_where_one_curates_and_nowhere_else(client: Client, anna: User) -> None:
    today = timezone.now().date()
    mine = CollectionFactory()
    GrantFactory(collection=mine, user=anna, level=Level.CURATE)
    AssetFactory(collection=mine, title="Soon over", expires_on=today + timedelta(days=5))
    AssetFactory(collection=mine, title="Later over", expires_on=today + timedelta(days=60))
    AssetFactory(collection=mine, title="Last day", expires_on=today)
    AssetFactory(collection=mine, title="Long gone", expires_on=today - timedelta(days=1))
    AssetFactory(collection=mine, title="Not yet", embargo_until=today + timedelta(days=1))
    AssetFactory(title="Elsewhere", expires_on=today)
    html = text(client.get("/rights/"))
    soon, gone, later = html.split('class="rights-group"')[1:]
    assert "Soon over" in soon
    assert "Last day" in soon
    assert "Later over" not in html
    assert "Long gone" in gone
    assert "Last day" not in gone
    assert "Not yet" in later
    assert "Elsewhere" not in html
    assert "Later over" in text(client.get("/rights/?within=90"))


def test_who_curates_nothing_is_told_so_and_is_not_led_there(client: Client) -> None:
    assert "You curate no collection" in text(client.get("/rights/"))
    assert 'href="/rights/"' not in text(client.get("/albums/"))


def test_the_asset_page_marks_what_may_not_be_used_and_offers_no_download(client: Client, anna: User) -> None:
    today = timezone.now().date()
    expired = AssetFactory(uploaded_by=anna, expires_on=today - timedelta(days=1))
    embargoed = AssetFactory(uploaded_by=anna, embargo_until=today + timedelta(days=1))
    usable = AssetFactory(uploaded_by=anna, expires_on=today)
    for asset, mark in ((expired, "Expired."), (embargoed, "Embargo until")):
        html = text(client.get(f"/assets/{asset.pk}/"))
        assert mark in html
        assert "data-download-ids" not in html
        assert "inline=1" not in html
    assert "data-download-ids" in text(client.get(f"/assets/{usable.pk}/"))
