"""The search field, its chips, and the order of what is found."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS, hold

pytestmark = MARKS


def test_tags_complete_what_is_typed_and_chips_take_it_back(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9)
    add("b.jpg", cat=0.9)
    page = open_page()
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search pictures")
    expect(field).to_be_focused()
    page.keyboard.type("-do")
    option = page.get_by_role("option")
    expect(option).to_have_count(1)  # no picture is a donut
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(option).to_have_count(0)
    page.keyboard.press("ArrowDown")
    expect(option).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?q=-tag%3Adog$"))
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("link", name="Remove not dog from the search").click()
    expect(page.locator(".card")).to_have_count(2)
    expect(field).to_have_value("")


def test_a_query_that_cannot_be_understood_says_where(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9)
    page = open_page()
    page.get_by_role("combobox").fill("dog (cat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This bracket is not closed.")
    expect(page.get_by_role("alert")).to_contain_text("Column 5")


def test_the_sort_and_the_search_stay_in_the_address(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("b.jpg", dog=0.9)
    add("a.jpg", dog=0.9)
    page = open_page("/?q=dog")
    page.locator(".results-tools summary").click()
    page.get_by_role("link", name="Name").click()
    page.wait_for_url(re.compile(r"\?q=dog&sort=name$"))
    page.reload()
    expect(page.locator(".card img").first).to_have_attribute("alt", "a.jpg: dog")


def test_who_types_the_next_search_while_the_first_still_loads_is_not_disturbed(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9)
    add("b.jpg", cat=0.9)
    page = open_page()
    held = hold(page, re.compile(r"/\?q=dog$"))
    field = page.get_by_role("combobox", name="Search pictures")
    field.fill("dog")
    with page.expect_request(re.compile(r"/\?q=dog$")):
        field.press("Enter")
    field.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("ca")
    held[0].continue_()
    expect(page.get_by_role("heading", name="Results for “dog”")).to_have_count(1)
    expect(field).to_be_focused()
    page.keyboard.type("t")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/\?q=cat$"))
    expect(page.get_by_alt_text("b.jpg: cat")).to_be_visible()
    expect(page.get_by_alt_text("a.jpg: dog")).to_have_count(0)
    # A search that nobody types on after leads to what it found.
    expect(page.locator("#main")).to_be_focused()


def test_the_next_search_keeps_the_sort_of_the_page_and_no_older_one(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("b.jpg", dog=0.9)
    add("a.jpg", dog=0.9)
    page = open_page()
    field = page.get_by_role("combobox", name="Search pictures")

    def sort_by(name: str) -> None:
        page.locator(".results-tools summary").click()
        page.get_by_role("link", name=name, exact=True).click()

    sort_by("Name")
    page.wait_for_url(re.compile(r"/\?sort=name$"))
    field.fill("dog")
    field.press("Enter")
    page.wait_for_url(re.compile(r"/\?q=dog&sort=name$"))
    page.reload()  # so that the form itself carries it
    page.wait_for_selector("html[data-ready]")
    page.get_by_label("Clear the search").click()
    page.wait_for_url(re.compile(r"/\?sort=name$"))
    sort_by("Newest first")
    page.wait_for_url(re.compile(r"/\??$"))
    field.fill("dog")
    field.press("Enter")
    page.wait_for_url(re.compile(r"/\?q=dog$"))


def test_after_back_the_field_shows_the_search_of_that_page(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9, cat=0.8)
    page = open_page()
    field = page.get_by_role("combobox", name="Search pictures")
    for words in ("dog", "cat"):
        field.fill(words)
        field.press("Enter")
        page.wait_for_url(re.compile(rf"\?q={words}$"))
    for words in ("dog", ""):
        page.go_back()
        expect(field).to_have_value(words)
    page.go_forward()
    expect(field).to_have_value("dog")
