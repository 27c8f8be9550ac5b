"""The wall and all that opens over it, in the dark theme: nothing is hard to read or to reach.

In the light one, the tests of each part look. This is one walk, because opening the page is what takes time.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def test_the_wall_and_what_opens_over_it_have_no_serious_fault_in_the_dark(
    open_page: Callable[..., Page], add: Callable[..., Asset], anna: User
) -> None:
    anna.is_superuser = True
    anna.save()
    for number in range(3):
        add(f"{number}.jpg", dog=0.9)
    page = open_page("/?q=-cat")
    page.emulate_media(color_scheme="dark")
    faults: list[str] = []

    def look(where: str) -> None:
        faults.extend(f"{where}: {fault}" for fault in serious_faults(page))

    def look_at_dialog(key: str) -> None:
        page.keyboard.press(key)
        expect(page.locator("dialog[open] h2")).to_be_visible()
        look(f"dialog of {key}")
        page.locator("dialog[open]").get_by_label("Close").click()
        expect(page.locator("dialog[open]")).to_have_count(0)

    page.get_by_role("button", name="As a list").click()
    look("list")
    page.get_by_role("button", name="As a grid").click()
    look_at_dialog("?")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog", name="Save this search")).to_be_visible()
    look("save")
    page.keyboard.press("Escape")
    page.locator(".card-link").nth(1).focus()
    page.keyboard.press("i")
    expect(page.locator("#wall-info").get_by_role("heading").first).to_be_visible()
    look("about the picture")
    page.keyboard.press("i")
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Selected pictures")).to_be_visible()
    look("selection")
    for key in ("t", "a", "m", "e", "d", "s", "Delete"):
        look_at_dialog(key)
    page.keyboard.press("Escape")
    page.locator(".card").nth(1).click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    page.keyboard.press("i")
    expect(page.locator("#lightbox-info").get_by_role("heading").first).to_be_visible()
    look("lightbox")
    assert faults == []
