"""The wall of pictures: how it is laid out, scrolled, and walked through by keyboard."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.factories import AssetFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('[data-asset-id]')?.dataset.assetId ?? ''"))


def test_rows_are_of_equal_height_and_fill_the_width(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(24):
        add(f"{number}.jpg", width=120 + 40 * (number % 7), height=160, dog=0.9)
    page = open_page()
    rows = page.evaluate("""() => {
        const wall = document.getElementById('wall').getBoundingClientRect();
        const rows = new Map();
        for (const card of document.querySelectorAll('.card')) {
            const box = card.getBoundingClientRect();
            const row = rows.get(box.top) ?? {heights: new Set(), right: 0};
            row.heights.add(box.height);
            row.right = Math.max(row.right, box.right);
            rows.set(box.top, row);
        }
        return [...rows.values()].map(row => [row.heights.size, Math.abs(wall.right - row.right)]);
    }""")
    assert len(rows) > 2
    assert all(heights == 1 for heights, _ in rows)
    assert all(left_over < 1 for _, left_over in rows[:-1])


def test_more_pictures_come_while_one_scrolls_and_one_returns_to_the_same_place(
    open_page: Callable[..., Page], anna: User
) -> None:
    for number in range(130):
        AssetFactory(filename=f"{number:03}.jpg", uploaded_by=anna)
    page = open_page()
    expect(page.locator(".card")).to_have_count(60)
    page.mouse.move(700, 500)
    for count in (120, 130):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(page.locator(".card")).to_have_count(count)
    expect(page.locator("[data-more]")).to_have_count(0)
    ids = page.evaluate("[...document.querySelectorAll('.card')].map(card => card.dataset.assetId)")
    assert len(set(ids)) == 130

    page.locator(".card").nth(100).click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator(f'article[data-asset="{ids[100]}"]')).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f'article[data-asset="{ids[101]}"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(130)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Picture")).to_be_hidden()
    assert focused(page) == ids[101]
    assert page.evaluate("scrollY") > 0


def test_pictures_are_walked_through_and_opened_by_keyboard(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    assets = [add(f"{number:02}.jpg", dog=0.9) for number in range(20)][::-1]
    page = open_page()
    for key, place in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert focused(page) == str(assets[place].pk)
    top = page.evaluate("document.activeElement.getBoundingClientRect().top")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") > top
    page.keyboard.press("ArrowUp")
    assert focused(page) == str(assets[1].pk)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    assert page.url.endswith(f"/assets/{assets[1].pk}/")
    page.go_back()
    expect(page.locator(".card")).to_have_count(20)
    assert focused(page) == str(assets[1].pk)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_pictures_are_as_large_as_one_likes_and_stay_so(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(8):
        add(f"{number}.jpg", dog=0.9)
    page = open_page()

    def height() -> float:
        box = page.locator(".card").first.bounding_box()
        assert box is not None
        return box["height"]

    usual = height()
    slider = page.get_by_label("Size of the pictures")
    slider.focus()
    page.keyboard.press("Home")
    assert height() < usual
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert height() < usual
    page.keyboard.press("ArrowRight")
    assert focused(page)


def test_as_a_list_each_picture_is_a_row_with_its_facts(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(3):
        add(f"{number}.jpg", dog=0.9)
    page = open_page("/?q=dog")
    page.get_by_role("button", name="As a list").click()
    row = page.locator(".card").first
    for fact in ("2.jpg", "dog", "JPEG", "320 × 240"):
        expect(row).to_contain_text(fact)
    expect(row.locator(".fact-why")).to_contain_text("dog")
    boxes = [card.bounding_box() for card in page.locator(".card").all()]
    assert len({box["y"] for box in boxes if box}) == 3
    assert serious_faults(page) == []
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert focused(page) == page.locator(".card").nth(1).get_attribute("data-asset-id")
    page.reload()
    expect(page.get_by_role("button", name="As a list")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="As a grid").click()
    expect(page.locator(".wall.is-list")).to_have_count(0)


def test_what_is_known_of_the_focused_picture_stands_beside_the_wall(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(3):
        add(f"{number}.jpg", dog=0.9)
    page = open_page("/?q=dog")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("i")
    panel = page.get_by_role("complementary", name="About the picture")
    expect(panel.get_by_role("heading", name="2.jpg")).to_be_visible()
    expect(panel).to_contain_text("Why it was found")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading", name="1.jpg")).to_be_visible()
    assert serious_faults(page) == []
    page.keyboard.press("i")
    expect(panel).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_wall_has_no_serious_fault_for_those_who_do_not_see_it(
    scheme: str, open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(3):
        add(f"{number}.jpg", dog=0.9)
    page = open_page("/?q=-cat")
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("[data-facet]").first).to_be_visible()
    assert serious_faults(page) == []
