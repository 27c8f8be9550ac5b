"""Albums in a browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from dam.assets.models import Album, AlbumEntry, Asset
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults

pytestmark = MARKS


def test_an_album_is_made_filled_from_a_picture_emptied_and_deleted(
    open_page: Callable[[str], Page], add: Callable[..., Asset]
) -> None:
    walk, other = add("walk.jpg", dog=0.9), add("other.jpg", cat=0.9)
    page = open_page("/albums/")
    page.get_by_role("button", name="New album").click()
    page.locator("#album-new-name").fill("Best of")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Best of")).to_be_visible()
    for asset in (walk, other):
        open_page(f"/assets/{asset.pk}/")
        page.get_by_label("More to do with this picture").click()
        page.get_by_role("button", name="Add to an album…").click()
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("link", name="Best of")).to_be_visible()
    page.get_by_role("link", name="Best of").click()
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_label("Make other.jpg the cover").click()
    expect(page.get_by_label("Make other.jpg the cover")).to_have_attribute("aria-pressed", "true")
    assert serious_faults(page) == []
    page.get_by_label("Choose walk.jpg").check()
    expect(page.locator("[data-chosen]")).to_have_text("1 chosen")
    page.get_by_role("button", name="Remove from the album").click()
    expect(page.locator(".tile")).to_have_count(1)
    assert list(AlbumEntry.objects.values_list("asset", flat=True)) == [other.pk]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No albums yet")).to_be_visible()
    assert not Album.objects.exists()
