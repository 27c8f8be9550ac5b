"""To the trash, back from it, and away for ever."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset, Level
from dam.assets.services import root_collection
from tests.dam.factories import GrantFactory
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def test_a_picture_goes_to_the_trash_comes_back_and_is_deleted_for_ever(
    open_page: Callable[[str], Page], add: Callable[..., Asset], anna: User
) -> None:
    GrantFactory(collection=root_collection(), user=anna, level=Level.MANAGE)
    walk = add("walk.jpg", dog=0.9)
    add("other.jpg", cat=0.9)
    page = open_page(f"/assets/{walk.pk}/")
    page.get_by_label("More to do with this picture").click()
    page.get_by_role("button", name="Move to the trash").click()
    expect(page.locator(".toast")).to_have_text("It is in the trash.")
    expect(page.locator(".card")).to_have_count(1)

    page.get_by_role("link", name="Trash", exact=True).click()
    expect(page.locator(".tile img")).to_have_js_property("complete", value=True)
    assert page.evaluate("document.querySelector('.tile img').naturalWidth") > 0
    assert serious_faults(page) == []
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert Asset.objects.filter(trashed_at=None).count() == 2

    Asset.objects.filter(pk=walk.pk).update(trashed_at=walk.created_at)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.locator(".tile").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.locator(".tile")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete for ever").click()
    expect(page.get_by_role("heading", name="The trash is empty")).to_be_visible()
    assert not Asset.objects.filter(pk=walk.pk).exists()
