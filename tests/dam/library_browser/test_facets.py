"""The filters beside the wall: counted, included, excluded, and all of it in the address."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS, hold
from tests.plugins.axe import serious_faults

pytestmark = MARKS


@pytest.fixture
def pictures(add: Callable[..., Asset]) -> None:
    add("a.jpg", dog=0.9)
    add("b.jpg", dog=0.9, cat=0.9)
    add("c.jpg", cat=0.9, width=240, height=320)


def test_values_are_counted_chosen_and_taken_back(open_page: Callable[..., Page], pictures: None) -> None:
    page = open_page()
    panel = page.get_by_role("complementary", name="Filters")
    tags = panel.locator('[data-facet="tag"]')
    expect(tags.locator(".facet-include")).to_have_text([re.compile(r"cat\s*2"), re.compile(r"dog\s*2")])
    tags.get_by_role("link", name=re.compile("^dog")).click()
    page.wait_for_url(re.compile(r"\?q=tag%3Adog$"))
    expect(page.locator(".card")).to_have_count(2)
    panel.get_by_role("link", name="Without cat").click()
    page.wait_for_url(re.compile(r"\?q=tag%3Adog\+-tag%3Acat$"))
    expect(page.locator(".card")).to_have_count(1)
    expect(panel.get_by_role("link", name="Remove the filter not cat")).to_be_visible()
    panel.get_by_role("link", name="Remove the filter dog").click()
    page.wait_for_url(re.compile(r"\?q=-tag%3Acat$"))
    panel.get_by_role("link", name="Clear all").click()
    expect(page.locator(".card")).to_have_count(3)


def test_a_value_that_every_picture_has_is_not_offered_to_be_left_out(
    open_page: Callable[..., Page], pictures: None
) -> None:
    page = open_page("/?q=tag:dog")
    panel = page.get_by_role("complementary", name="Filters")
    expect(panel.locator(".facet-choice").first).to_be_visible()
    expect(panel.get_by_role("link", name="Without JPEG")).to_have_count(0)


def test_the_pictures_do_not_wait_for_the_counts_and_a_failure_can_be_tried_again(
    open_page: Callable[..., Page], pictures: None, browser_context, console
) -> None:
    console.expect("Failed to load resource")
    page = open_page("/tags/")
    held = hold(page, re.compile(r"/facets/"))
    page.get_by_role("link", name="Library", exact=True).click()
    expect(page.locator(".card")).to_have_count(3)
    held[0].abort()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.wait_for_function("document.querySelector('#facets').ariaBusy === 'true'")
    held[1].continue_()
    expect(page.locator("[data-facet]").first).to_be_visible()


def test_the_panel_is_hidden_and_remembered(open_page: Callable[..., Page], pictures: None) -> None:
    page = open_page()
    toggle = page.get_by_role("link", name="Filters")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    toggle.click()
    expect(page.locator("#facets")).to_be_hidden()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#facets")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_is_a_sheet(scheme: str, open_page: Callable[..., Page], pictures: None) -> None:
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("#facets")).to_be_hidden()
    page.get_by_role("link", name="Filters").click()
    expect(page.locator("[data-facet]").first).to_be_visible()
    assert serious_faults(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#facets")).to_be_hidden()
    expect(page.get_by_role("link", name="Filters")).to_be_focused()


def test_a_search_is_saved_offered_by_the_empty_field_and_forgotten(
    open_page: Callable[..., Page], pictures: None
) -> None:
    page = open_page("/?q=tag:dog")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog", name="Save this search")
    assert serious_faults(page) == []
    dialog.get_by_label("Name").fill("Good dogs")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    page.get_by_label("Clear the search").click()
    page.wait_for_url(re.compile(r"/$"))
    option = page.get_by_role("option", name="Good dogs")
    expect(option).to_be_visible()
    expect(page.get_by_role("option", name="tag:dog")).to_have_count(2)  # saved, and searched for lately
    option.click()
    page.wait_for_url(re.compile(r"\?q=tag%3Adog$"))
    page = open_page("/searches/")
    assert serious_faults(page) == []
    page.get_by_label("Change “Good dogs”").click()
    page.get_by_label("Name").fill("Best dogs")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.get_by_role("link", name=re.compile("Best dogs"))).to_be_visible()
    page.get_by_label("Change “Best dogs”").click()
    page.get_by_role("button", name="Delete the search").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_role("button", name="Forget them").click()
    expect(page.get_by_text("You have not searched for anything lately.")).to_be_visible()
