"""Years and months beside the wall, and the way to a date."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.factories import AssetFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


@pytest.fixture
def years(anna: User) -> None:
    """70 pictures, ten a month from July 2023 to January 2024, uploaded and taken then."""
    for number in range(70):
        year, month = divmod(2023 * 12 + 6 + number // 10, 12)
        at = datetime(year, month + 1, 1 + number % 10, 12, tzinfo=UTC)
        asset = AssetFactory(filename=f"{at:%Y-%m}-{number}.jpg", uploaded_by=anna, taken_at=at)
        Asset.objects.filter(pk=asset.pk).update(created_at=at)


@pytest.mark.parametrize("sort", ["", "oldest", "taken"])
def test_a_month_leads_to_its_first_picture(sort: str, open_page: Callable[..., Page], years: None) -> None:
    page = open_page(f"/?sort={sort}")
    scrubber = page.get_by_role("navigation", name="Jump to a date")
    expect(scrubber.get_by_role("link")).to_have_count(7)
    assert serious_faults(page) == []
    scrubber.get_by_role("link", name=re.compile("September 2023, 10 pictures")).click()
    page.wait_for_url(re.compile("at=2023-09"))
    expect(page.locator(".card-name").first).to_have_text(re.compile("^2023-09"))
    expect(scrubber.locator("[aria-current]")).to_have_count(1)
    page.get_by_role("link", name="Show earlier ones").click()
    before = "2023-08" if sort == "oldest" else "2023-10"
    expect(page.locator(".card-name").last).to_have_text(re.compile(f"^{before}"))


def test_on_a_phone_it_is_a_menu(open_page: Callable[..., Page], years: None) -> None:
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_text("Jump to a date").click()
    page.get_by_role("link", name=re.compile("July 2023")).click()
    page.wait_for_url(re.compile("at=2023-07"))
    expect(page.locator(".card-name").first).to_have_text(re.compile("^2023-07"))


def test_a_sort_without_time_and_a_single_page_have_none(open_page: Callable[..., Page], years: None) -> None:
    page = open_page("/?sort=name")
    expect(page.locator("#scrubber")).to_have_count(0)
    page = open_page("/?q=2023-09")
    expect(page.locator(".card")).to_have_count(10)
    expect(page.locator("#scrubber")).to_be_hidden()
