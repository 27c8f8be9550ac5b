"""Collections in a browser: made, moved by mouse and by keys, shared out, and uploaded into."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset, Collection, Grant, Level
from dam.assets.services import root_collection
from tests.dam.factories import CollectionFactory, GrantFactory, UserFactory
from tests.dam.library_browser.scene import MARKS, jpeg
from tests.dam.library_browser.test_upload import drop
from tests.plugins.axe import serious_faults

pytestmark = MARKS


@pytest.fixture
def manager(anna: User) -> User:
    GrantFactory(collection=root_collection(), user=anna, level=Level.MANAGE)
    return anna


def above(name: str) -> str:
    path = Collection.objects.get(name=name).path
    return str(Collection.objects.get(path=path[: -Collection.steplen]).name)


def test_a_collection_is_made_renamed_and_moved_by_keyboard(
    open_page: Callable[[str], Page], manager: User
) -> None:
    CollectionFactory(name="Archive")
    page = open_page("/collections/")
    page.locator("#collection-new-open").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#new-parent option")).to_have_count(2)
    page.locator("#new-name").fill("Trips")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Trips")).to_be_visible()
    expect(page.locator(".toast")).to_have_text("“Trips” was made.")

    page.get_by_role("link", name="Collections", exact=True).first.click()
    menu = page.get_by_label("Menu of Trips")
    menu.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Move to…").and_(page.locator(":visible")).focus()
    page.keyboard.press("Enter")
    choice = page.get_by_label("To", exact=True)
    expect(choice.locator("option", has_text="Archive")).to_be_enabled()
    expect(choice.locator("option", has_text="Trips")).to_be_disabled()
    choice.select_option(label="   Archive")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator(".toast")).to_have_text("“Trips” lies in “Archive” now.")
    assert above("Trips") == "Archive"

    page.get_by_label("Menu of Trips").click()
    page.get_by_role("button", name="Rename and describe…").and_(page.locator(":visible")).click()
    page.locator("#edit-name").fill("Journeys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Journeys")).to_be_visible()
    assert serious_faults(page) == []


def test_a_collection_is_dragged_onto_another(open_page: Callable[[str], Page], manager: User) -> None:
    trips, archive = CollectionFactory(name="Trips"), CollectionFactory(name="Archive")
    page = open_page("/collections/")
    line = page.locator(f'[data-collection="{trips.pk}"] > .node-line')
    line.drag_to(page.locator(f'[data-collection="{archive.pk}"] > .node-line'))
    expect(page.locator(".toast")).to_have_text("“Trips” lies in “Archive” now.")
    assert above("Trips") == "Archive"
    page.get_by_label("What lies in Archive").click()
    expect(line).to_be_hidden()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(line).to_be_hidden()


def test_rights_are_given_changed_and_taken(open_page: Callable[[str], Page], manager: User) -> None:
    ben = UserFactory(username="ben")
    trips = CollectionFactory(name="Trips")
    page = open_page(f"/collections/{trips.pk}/")
    page.locator("#grant-name").fill("ben")
    page.get_by_label("May", exact=True).select_option("curate")
    page.get_by_role("button", name="Give").click()
    expect(page.get_by_label("What ben may do")).to_have_value("4")
    page.get_by_label("What ben may do").select_option("view")
    page.locator(".grant", has_text="ben").get_by_role("button", name="Change").click()
    expect(page.locator(".toast")).to_have_text("Given to ben: view.")
    assert Grant.objects.get(user=ben).level == Level.VIEW
    assert serious_faults(page) == []
    page.get_by_label("Take away from ben").click()
    expect(page.get_by_label("What ben may do")).to_have_count(0)
    assert not Grant.objects.filter(user=ben).exists()


def test_what_is_dropped_on_the_page_of_a_collection_lies_in_it(
    open_page: Callable[[str], Page], manager: User
) -> None:
    trips = CollectionFactory(name="Trips")
    page = open_page(f"/collections/{trips.pk}/")
    assert drop(page, new_jpg=jpeg("orange"))
    expect(page.locator(".parcel")).to_contain_text("Being tagged")
    expect(page.locator("#tray-into")).to_have_text("Into “Trips”")
    expect(page.locator(".card")).to_have_count(1)
    assert Asset.objects.get().collection_id == trips.pk

    # Elsewhere, the menu says where to.
    page.locator(".rail").get_by_role("link", name="Library", exact=True).click()
    expect(page.locator('[data-page="library"]')).to_be_visible()
    page.get_by_label("More ways to upload").click()
    into = page.get_by_label("Into")
    expect(into.locator("option")).to_have_count(3)
    into.select_option(str(trips.pk))
    drop(page, other_jpg=jpeg("purple"))
    expect(page.locator(".parcel")).to_have_count(2)
    expect(page.locator(".parcel").last).to_contain_text("Being tagged")
    assert set(Asset.objects.values_list("collection", flat=True)) == {trips.pk}
