"""The page of what was done, and by whom."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.editing import asset_update
from dam.assets.models import Asset
from dam.audit.models import AuditEntry
from dam.library import history_page
from dam.library.history_page_words import DID
from dam.sharing.services import share_create
from tests.dam.factories import AssetFactory, StaffFactory
from tests.dam.library_pages.rendered import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def edited(anna: User) -> Asset:
    asset: Asset = AssetFactory(uploaded_by=anna, filename="walk.jpg")
    asset_update(asset=asset, user=anna, credit="Photo: Anna")
    return asset


def test_one_s_own_acts_are_told_in_words_with_what_changed(client: Client, edited: Asset) -> None:
    html = text(client.get("/history/"))
    assert "<strong>Anna Berg</strong> edited" in html
    assert f'<a href="/assets/{edited.pk}/">walk.jpg</a>' in html
    assert "credit line: nothing → “Photo: Anna”" in html


def test_days_and_moments_are_told_as_people_write_them(client: Client, edited: Asset, anna: User) -> None:
    asset_update(asset=edited, user=anna, expires_on=date(2030, 5, 3))
    share_create(
        user=anna, kind="pictures", asset_ids=[edited.pk], expires_at=datetime(2030, 5, 3, 12, tzinfo=UTC)
    )
    html = text(client.get("/history/"))
    assert "last day: nothing → 3 May 2030" in html
    assert "end: 3 May 2030, 12:00" in html
    assert "pictures: 1" in html


def test_others_acts_are_read_by_superusers_and_filtered(edited: Asset, anna: User) -> None:
    client = Client()
    staff = StaffFactory(username="boss")
    client.force_login(staff)
    asset_update(asset=AssetFactory(filename="other.jpg"), user=staff, title="Other")
    everything = text(client.get("/history/"))
    assert "walk.jpg" in everything
    assert "Other" in everything
    by_anna = text(client.get("/history/?actor=anna"))
    assert "walk.jpg" in by_anna
    assert "→ “Other”" not in by_anna
    assert "Nothing like that" in text(client.get("/history/?kind=album"))
    assert "is no date" in text(client.get("/history/?since=soon"))
    assert "Nothing like that" in text(client.get("/history/?until=2020-01-01"))


def test_somebody_else_reads_nothing_of_it(edited: Asset) -> None:
    client = Client()
    client.force_login(User.objects.create_user("stranger"))
    assert "walk.jpg" not in text(client.get("/history/"))
    assert "Photo" not in text(client.get(f"/assets/{edited.pk}/history/"))


def test_the_page_of_a_picture_has_its_own_history(client: Client, edited: Asset) -> None:
    html = text(client.get(f"/assets/{edited.pk}/history/"))
    assert "<strong>Anna Berg</strong> edited this picture" in html


def test_a_long_history_comes_in_pages_that_keep_the_filter(
    client: Client, edited: Asset, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_page, "PAGE_SIZE", 1)
    asset_update(asset=edited, user=anna, credit="Somebody else")
    html = text(client.get("/history/?kind=asset"))
    newest = AuditEntry.objects.order_by("-pk")[0].pk
    assert f'href="?kind=asset&amp;before={newest}"' in html
    assert "nothing → “Photo: Anna”" in text(client.get(f"/history/?kind=asset&before={newest}"))


def test_every_act_that_is_written_down_has_its_words() -> None:
    assert all(" " not in action and said for action, said in DID.items())
