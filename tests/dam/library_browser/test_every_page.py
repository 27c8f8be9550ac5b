"""What holds on every page: the theme, the width, names for those who do not see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS

pytestmark = MARKS

NAMELESS = """() => [...document.querySelectorAll("a, button, input, summary, [role=listbox]")]
    .filter(node => node.type !== "hidden" && node.type !== "file")
    .filter(node => !node.textContent.trim() && !node.getAttribute("aria-label") && !node.labels?.length)
    .map(node => node.outerHTML)"""


def test_a_chosen_theme_is_remembered_and_the_system_s_is_the_default(open_page: Callable[..., Page]) -> None:
    def paper(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    page = open_page()
    light = paper(page)
    page.emulate_media(color_scheme="dark")
    dark = paper(page)
    assert dark != light
    page.get_by_label("Account of Anna").click()
    page.get_by_role("button", name="Light").click()
    assert paper(page) == light
    page.reload()
    assert paper(page) == light
    page.get_by_label("Account of Anna").click()
    page.get_by_role("button", name="As the system").click()
    assert paper(page) == dark


@pytest.mark.parametrize("width", [390, 2560])
def test_no_page_is_wider_than_the_screen(
    width: int, open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("a-name-that-goes-on-and-on-" * 8 + ".jpg", width=900, height=100, dog=0.9, bench=0.6)
    add("tall.jpg", width=100, height=900, cat=0.9)
    for address in (
        "/",
        "/?q=" + "unbreakable" * 30,
        "/?q=(dog",
        f"/assets/{asset.pk}/",
        "/tags/",
        "/try/",
        "/models/",
        "/status/",
        "/account/tokens/",
        "/account/password/",
        "/collections/",
        f"/collections/{asset.collection_id}/",
        "/albums/",
        "/duplicates/",
        "/rights/",
        "/trash/",
        "/history/",
    ):
        page = open_page(address)
        page.set_viewport_size({"width": width, "height": 844})
        expect(page.locator("#main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_every_control_has_a_name_and_every_picture_a_text(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9)
    addresses = ("/", f"/assets/{asset.pk}/", "/tags/", "/try/", "/models/", "/status/", "/account/tokens/")
    addresses += ("/collections/", f"/collections/{asset.collection_id}/", "/albums/", "/trash/", "/history/")
    for address in addresses:
        page = open_page(address)
        nameless = page.evaluate(NAMELESS)
        assert nameless == [], address
        assert page.evaluate("[...document.images].filter(image => !image.hasAttribute('alt')).length") == 0
        assert page.evaluate("document.querySelectorAll('h1').length") == 1, address
