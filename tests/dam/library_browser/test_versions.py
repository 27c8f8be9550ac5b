"""The file of a picture, replaced and brought back; and what the history says of it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS, answer, jpeg
from tests.plugins.browser import Console

pytestmark = MARKS


def test_a_file_is_replaced_refused_and_brought_back(
    open_page: Callable[[str], Page], add: Callable[..., Asset], console: Console
) -> None:
    console.expect("status of 4(00|15)")  # what is no picture
    asset = add("walk.jpg", dog=0.9)
    page = open_page(f"/assets/{asset.pk}/")

    def replace(name: str, content: bytes) -> None:
        page.get_by_label("More to do with this picture").click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Replace the file…").and_(page.locator(":visible")).click()
        chooser.value.set_files({"name": name, "mimeType": "image/jpeg", "buffer": content})

    replace("notes.jpg", b"text")
    expect(page.locator(".toast")).not_to_have_text("The file is replaced. The tags follow.")
    replace("better.jpg", jpeg("purple", 640, 480))
    expect(page.locator(".toast")).to_have_text("The file is replaced. The tags follow.")
    expect(page.get_by_text("640 × 480")).to_have_count(2)
    asset.refresh_from_db()
    answer(asset, dog=0.8)
    page.get_by_text("Files (2 versions)").click()
    versions = page.locator(".file-version")
    expect(versions).to_have_count(2)
    expect(versions.first).to_contain_text("better.jpg")
    page.get_by_role("button", name="Restore version 1").click()
    expect(page.locator(".toast")).to_have_text("Version 1 is the picture again.")
    expect(page.get_by_text("Files (3 versions)")).to_be_visible()
    page.locator("#history summary").click()
    history = page.locator("#history .deed")
    expect(history.first).to_contain_text("Anna brought back an earlier file of this picture")
    expect(page.locator("#history")).to_contain_text("Anna replaced the file of this picture")
