"""The page of what was done."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.editing import asset_update
from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def test_acts_are_filtered_in_the_address_and_lead_to_what_was_acted_upon(
    open_page: Callable[[str], Page], add: Callable[..., Asset], anna: User
) -> None:
    asset = add("walk.jpg", dog=0.9)
    asset_update(asset=asset, user=anna, title="A walk")
    page = open_page("/")
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.locator(".deed").first).to_contain_text("Anna edited A walk")
    assert serious_faults(page) == []
    page.get_by_label("What").select_option("albums")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Nothing like that")).to_be_visible()
    assert page.url.endswith("/history/?kind=album")
    page.get_by_role("link", name="Everything").click()
    page.get_by_role("link", name="A walk").first.click()
    expect(page.locator("article.asset")).to_be_visible()
