"""One picture over the wall: from it to the next, its address, zoom, and back to one's place."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.factories import AssetFactory
from tests.dam.library_browser.scene import MARKS, hold
from tests.plugins.axe import serious_faults

pytestmark = MARKS


@pytest.fixture
def page(open_page: Callable[..., Page], add: Callable[..., Asset]) -> Page:
    for number in range(5):
        add(f"{number}.jpg", width=2400, height=1600, dog=0.9)
    return open_page("/?q=dog")


def name(page: Page) -> str:
    return page.locator("#lightbox-name").inner_text()


def test_one_walks_from_picture_to_picture_and_returns_to_the_last_one(page: Page) -> None:
    page.locator(".card").nth(1).click()
    box = page.get_by_role("dialog", name="Picture")
    expect(box).to_be_visible()
    expect(page.locator("#lightbox-place")).to_have_text("2 of 5")
    address = page.url
    assert re.search(r"/assets/\d+/\?q=dog$", address)
    page.keyboard.press("ArrowRight")
    assert name(page) == "2.jpg"
    assert page.url != address
    box.get_by_label("Next picture").click()
    assert name(page) == "1.jpg"
    page.keyboard.press("ArrowLeft")
    assert name(page) == "2.jpg"
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    page.wait_for_url(re.compile(r"/\?q=dog$"))
    assert page.evaluate("document.activeElement.closest('.card').dataset.name") == "2.jpg"
    page.go_forward()
    expect(box).to_be_visible()
    assert name(page) == "2.jpg"
    page.go_back()
    expect(box).to_be_hidden()


def test_its_address_leads_to_the_page_of_the_picture(page: Page) -> None:
    page.locator(".card").first.click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("article.asset")).to_be_visible()
    page.go_back()
    expect(page.locator(".card")).to_have_count(5)


def test_a_picture_is_enlarged_and_moved(page: Page) -> None:
    page.locator(".card").first.click()
    image = page.locator("#lightbox-picture")
    expect(image).to_be_visible()
    page.wait_for_function("document.querySelector('#lightbox-picture').naturalWidth === 2400")
    fitting = image.bounding_box()
    page.keyboard.press("z")
    expect(page.locator("#lightbox-stage")).to_have_class(re.compile("is-zoomed"))
    enlarged = image.bounding_box()
    assert fitting is not None
    assert enlarged is not None
    assert enlarged["width"] > fitting["width"]
    page.keyboard.press("ArrowRight")
    moved = image.bounding_box()
    assert moved is not None
    assert moved["x"] < enlarged["x"]
    page.keyboard.press("z")
    page.keyboard.press("ArrowRight")
    assert name(page) == "3.jpg"


def test_what_is_known_of_it_stands_beside_it(page: Page) -> None:
    page.locator(".card").first.click()
    page.keyboard.press("i")
    panel = page.get_by_role("complementary", name="About this picture")
    expect(panel.get_by_role("heading", name="4.jpg")).to_be_visible()
    assert serious_faults(page) == []
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading", name="3.jpg")).to_be_visible()
    panel.get_by_role("link", name="dog").first.click()
    page.wait_for_url(re.compile(r"q=tag(%3A|:)dog"))
    expect(page.get_by_role("dialog", name="Picture")).to_be_hidden()
    page.go_back()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()


def test_a_picture_goes_to_the_trash_and_the_next_takes_its_place(page: Page, anna: User) -> None:
    page.locator(".card").nth(1).click()
    page.keyboard.press("Delete")
    dialog = page.get_by_role("dialog", name="Move to the trash?")
    dialog.get_by_role("button", name="Move to the trash").click()
    expect(page.locator("#lightbox-name")).to_have_text("2.jpg")
    expect(page.locator("#lightbox-place")).to_have_text("2 of 4")
    assert Asset.objects.get(filename="3.jpg").trashed_at is not None


def test_pictures_that_are_not_loaded_yet_come_in_time(open_page: Callable[..., Page], anna: User) -> None:
    for number in range(62):
        AssetFactory(filename=f"{number:02}.jpg", uploaded_by=anna)
    page = open_page()
    held = hold(page, re.compile("fragment=1"))
    with page.expect_request(re.compile("fragment=1")):
        page.locator(".card-link").nth(59).press("Enter")
    expect(page.locator("#lightbox-name")).to_have_text("02.jpg")
    page.keyboard.press("ArrowRight")
    held[0].continue_()
    expect(page.locator("#lightbox-name")).to_have_text("01.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#lightbox-name")).to_have_text("00.jpg")
    expect(page.get_by_label("Next picture")).to_be_hidden()


def test_a_swipe_turns_the_page(page: Page) -> None:
    page.locator(".card").first.click()
    page.evaluate("""() => {
        const stage = document.getElementById('lightbox-stage');
        const touch = (x) => new Touch({identifier: 1, target: stage, clientX: x, clientY: 300});
        const send = (kind, touches, changed) => stage.dispatchEvent(
            new TouchEvent(kind, {bubbles: true, touches, changedTouches: changed}));
        send('touchstart', [touch(600)], [touch(600)]);
        send('touchend', [], [touch(300)]);
    }""")
    expect(page.locator("#lightbox-name")).to_have_text("3.jpg")
