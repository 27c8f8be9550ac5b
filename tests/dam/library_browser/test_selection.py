"""Selecting pictures by mouse and by keys, and what is done with them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Album, Asset
from tests.dam.factories import AssetFactory, CollectionFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


@pytest.fixture
def page(open_page: Callable[..., Page], add: Callable[..., Asset], anna: User) -> Page:
    anna.is_superuser = True
    anna.save()
    for number in range(8):
        add(f"{number}.jpg", dog=0.9)
    return open_page()


def selected(page: Page) -> list[str]:
    names: list[str] = page.evaluate(
        "[...document.querySelectorAll('.card.is-selected')].map(card => card.dataset.name)"
    )
    return names


def test_clicks_select_one_and_with_shift_all_between(page: Page) -> None:
    cards = page.locator(".card")
    cards.nth(1).hover()
    page.get_by_label("Select 6.jpg").check()
    expect(page.locator("#selection-count")).to_have_text("1 selected")
    cards.nth(4).click(modifiers=["Shift"])
    assert selected(page) == ["6.jpg", "5.jpg", "4.jpg", "3.jpg"]
    cards.nth(2).click()  # while pictures are being selected, a click selects
    assert selected(page) == ["6.jpg", "4.jpg", "3.jpg"]
    assert serious_faults(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Selected pictures")).to_be_hidden()
    cards.nth(2).click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()


def test_keys_select_one_a_range_and_everything(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert selected(page) == ["7.jpg"]
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert selected(page) == ["7.jpg", "6.jpg", "5.jpg"]
    page.keyboard.press("x")
    assert selected(page) == ["7.jpg", "6.jpg"]
    page.keyboard.press("ControlOrMeta+a")
    expect(page.locator("#selection-count")).to_have_text("8 selected")
    page.keyboard.press("Escape")
    assert selected(page) == []


def test_all_results_are_selected_beyond_those_that_are_loaded(
    open_page: Callable[..., Page], anna: User
) -> None:
    anna.is_superuser = True
    anna.save()
    for number in range(70):
        AssetFactory(filename=f"{number:03}.jpg", uploaded_by=anna)
    page = open_page()
    page.keyboard.press("ControlOrMeta+a")
    page.get_by_role("button", name="Select all 70 results").click()
    expect(page.locator("#selection-count")).to_have_text("70 selected")
    page.get_by_label("Select 069.jpg").uncheck(force=True)
    expect(page.locator("#selection-count")).to_have_text("69 selected")
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Move to the trash").click()
    expect(page.locator(".card")).to_have_count(1)
    assert Asset.objects.filter(trashed_at__isnull=True).count() == 1


def test_selected_pictures_get_a_tag_and_lose_it_again(page: Page) -> None:
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("t")
    dialog = page.get_by_role("dialog", name="Tag these pictures")
    expect(dialog).to_be_visible()
    assert serious_faults(page) == []
    dialog.get_by_label("Which tag?").fill("cat")
    page.keyboard.press("Escape")  # closes the suggestions, if they have come, or the dialog
    if not dialog.is_visible():
        page.keyboard.press("t")
        dialog.get_by_label("Which tag?").fill("cat")
    dialog.get_by_role("button", name="Tag", exact=True).click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".card").first).to_have_attribute("data-tags", re.compile("cat"))
    assert selected(page) == []


def test_a_picture_is_moved_where_its_collection_is_chosen(page: Page) -> None:
    travel = CollectionFactory(name="Travel")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog", name="Move to a collection")
    dialog.get_by_label("Into which collection?").select_option(label="\u2003Travel")
    assert serious_faults(page) == []
    dialog.get_by_role("button", name="Move").click()
    expect(dialog).to_be_hidden()
    assert Asset.objects.get(filename="7.jpg").collection_id == travel.pk


def test_pictures_go_into_a_new_album(page: Page) -> None:
    page.keyboard.press("ControlOrMeta+a")
    page.get_by_role("button", name="Album").click()
    dialog = page.get_by_role("dialog", name="Add to an album")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("alert")).to_contain_text("give a new one a name")
    dialog.get_by_label("Name of a new album").fill("Summer")
    assert serious_faults(page) == []
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_be_hidden()
    assert Album.objects.get(name="Summer").entries.count() == 8


def test_rights_of_many_are_changed_at_once_and_empty_fields_change_nothing(page: Page) -> None:
    Asset.objects.update(credit="Before")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Edit rights")
    dialog.get_by_label("Copyright holder").fill("Anna Berg")
    dialog.get_by_label("Usable until").fill("2020-01-31")
    assert serious_faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".badge-mark")).to_have_count(8)
    assert set(Asset.objects.values_list("copyright_holder", "credit")) == {("Anna Berg", "Before")}


def test_what_the_server_refuses_is_said_where_it_was_asked(page: Page, console) -> None:
    console.expect("status of 400")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Edit rights")
    dialog.get_by_label("Usable from").fill("2030-01-31")
    dialog.get_by_label("Usable until").fill("2020-01-31")
    dialog.get_by_role("button", name="Change").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_dialogs_to_share_and_to_download_know_what_is_selected(page: Page) -> None:
    page.keyboard.press("ControlOrMeta+a")
    for key in ("s", "d"):
        page.keyboard.press(key)
        expect(page.locator("dialog[open]")).to_have_count(1)
        assert serious_faults(page) == []
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
