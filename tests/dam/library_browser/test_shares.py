"""Links in a browser: made, opened by who has no account, changed, revoked; and downloads."""

from __future__ import annotations

import re
from collections.abc import Callable
from zipfile import ZipFile

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dam.assets.models import Asset
from dam.sharing.models import Share
from dam.sharing.services import share_create
from tests.dam.library_browser.scene import MARKS
from tests.plugins.axe import serious_faults
from tests.plugins.browser import Console

pytestmark = MARKS

OPEN = """(asked) => import("/static/library/share.js").then(({ openShare }) => { openShare(asked); })"""
DOWNLOAD = """(asked) => import("/static/library/download.js")
    .then(({ openDownload }) => { openDownload(asked); })"""


@pytest.fixture
def three(add: Callable[..., Asset]) -> list[Asset]:
    assets = [
        add("dawn.jpg", width=600, height=400, dog=0.9),
        add("pier.jpg", width=400, height=600, bench=0.9),
        add("dusk.jpg", width=900, height=300, cat=0.9),
    ]
    for asset, title in zip(assets, ("Dawn", "Pier", "Dusk"), strict=True):
        Asset.objects.filter(pk=asset.pk).update(title=title, credit="Anna Berg", licence="CC-BY-4.0")
    return assets


@pytest.fixture
def stranger(browser: Browser, console: Console, live_server, three: list[Asset]):
    """A browser of somebody without an account."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.on("page", console.watch)
    page = context.new_page()

    def open_address(address: str) -> Page:
        page.goto(live_server.url + address)
        return page

    yield open_address
    context.close()


@pytest.fixture
def link(anna: User, three: list[Asset]) -> Share:
    return share_create(
        user=anna,
        kind="pictures",
        asset_ids=[asset.pk for asset in three],
        title="For the paper",
        may_download=True,
        fields=["title", "credit", "licence"],
    )


def test_a_link_is_made_in_a_dialog_and_opens_for_a_stranger(open_page, three, stranger, console):
    console.expect("400")  # the password that is too short
    page = open_page()
    page.evaluate(OPEN, {"ids": [three[0].pk, three[1].pk]})
    dialog = page.get_by_role("dialog", name="Share 2 pictures")
    expect(dialog.get_by_label("Title", exact=True).first).to_be_focused()
    page.keyboard.type("For the paper")
    dialog.get_by_label("Message").fill("By Friday, please.")
    dialog.get_by_label("The link works for").select_option("7")
    dialog.get_by_label("Credit and copyright").uncheck()
    dialog.get_by_label("Password").fill("abc")
    assert serious_faults(page) == []
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("The password needs 6 characters at least.")
    dialog.get_by_label("Password").fill("abcdef")
    dialog.get_by_role("button", name="Make the link").click()
    made = page.get_by_role("dialog", name="The link is ready")
    expect(made.get_by_label("Link", exact=True)).to_be_focused()
    address = made.get_by_label("Link", exact=True).input_value()

    other = stranger(re.sub(r"^https?://[^/]+", "", address))

    expect(other.get_by_role("heading", name="Shared pictures")).to_be_visible()
    assert serious_faults(other) == []
    other.get_by_label("Password").fill("abcdef")
    other.keyboard.press("Enter")
    expect(other.get_by_role("heading", name="For the paper")).to_be_visible()
    expect(other.get_by_text("By Friday, please.")).to_be_visible()
    expect(other.locator(".share-card")).to_have_count(2)
    share = Share.objects.get()
    assert (share.fields, share.may_download) == (["title", "description", "licence"], False)
    assert share.expires_at is not None


def test_a_wrong_password_is_told(anna, three, stranger, console):
    console.expect("403")
    share = share_create(user=anna, kind="pictures", asset_ids=[three[0].pk], password="abcdef")
    page = stranger(f"/s/{share.key}/")
    page.get_by_label("Password").fill("abcdeg")
    page.get_by_role("button", name="Show the pictures").click()
    expect(page.get_by_role("alert")).to_contain_text("That is not the password.")
    expect(page.get_by_label("Password")).to_be_focused()


def test_a_stranger_looks_through_the_pictures_by_keyboard(stranger, link):
    page = stranger(f"/s/{link.key}/")
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".share-link").first).to_be_focused()
    page.keyboard.press("Enter")
    box = page.locator("#share-box")
    expect(box.get_by_role("heading", name="Dusk")).to_be_visible()
    expect(box).to_contain_text("CC-BY-4.0")
    expect(box.locator("[data-place]")).to_have_text("1 of 3")
    expect(box.get_by_label("Previous picture")).to_be_hidden()
    expect(box.locator("img")).to_have_js_property("naturalWidth", 900)
    assert page.evaluate("document.querySelector('#share-box img').getBoundingClientRect().width") > 600
    page.keyboard.press("ArrowRight")
    expect(box.get_by_role("heading", name="Pier")).to_be_visible()
    assert page.url.endswith(f"#p{link.entries.order_by('asset').values_list('asset', flat=True)[1]}")
    page.keyboard.press("i")
    expect(box.get_by_role("heading", name="Pier")).to_be_hidden()
    page.keyboard.press("i")
    assert serious_faults(page) == []
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    expect(page.locator(".share-link").nth(1)).to_be_focused()
    assert "#" not in page.url


def test_the_browser_s_back_leaves_the_large_picture_and_an_address_opens_it(stranger, link):
    page = stranger(f"/s/{link.key}/")
    page.wait_for_selector("html[data-ready]")
    page.locator(".share-link").first.click()
    expect(page.locator("#share-box")).to_be_visible()
    address = page.url
    page.go_back()
    expect(page.locator("#share-box")).to_be_hidden()
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#share-box").get_by_role("heading", name="Dusk")).to_be_visible()


def test_a_stranger_downloads_one_picture_and_all_of_them(stranger, link):
    page = stranger(f"/s/{link.key}/")
    page.wait_for_selector("html[data-ready]")
    with page.expect_download() as all_of_them:
        page.get_by_role("link", name="Download all").click()
    archive = ZipFile(all_of_them.value.path())
    assert len(archive.namelist()) == 4
    page.locator(".share-link").first.click()
    with page.expect_download() as one:
        page.keyboard.press("d")
    assert re.fullmatch(r"picture-\d+\.jpg", one.value.suggested_filename)


def test_more_pictures_come_as_one_scrolls(anna, add, stranger, monkeypatch):
    monkeypatch.setattr("dam.library.share_page.PAGE_SIZE", 12)
    ids = [add(f"{number}.jpg", dog=0.9).pk for number in range(30)]
    share = share_create(user=anna, kind="pictures", asset_ids=ids)
    page = stranger(f"/s/{share.key}/")
    page.set_viewport_size({"width": 390, "height": 500})
    while page.locator("[data-more]").count():
        page.locator(".share-card").last.scroll_into_view_if_needed()
        page.mouse.wheel(0, 4000)
    expect(page.locator(".share-card")).to_have_count(30)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_link_is_changed_and_revoked_on_the_page_of_links(open_page, link, stranger, console):
    page = open_page("/shares/")
    expect(page.get_by_text("3 pictures")).to_be_visible()
    page.get_by_role("button", name="Change For the paper").click()
    dialog = page.get_by_role("dialog", name="Change this link")
    dialog.get_by_label("Title", exact=True).first.fill("For the magazine")
    dialog.get_by_label("Download the pictures").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="For the magazine")).to_be_visible()
    link.refresh_from_db()
    assert (link.title, link.may_download) == ("For the magazine", False)
    assert serious_faults(page) == []
    page.on("dialog", lambda question: question.accept())
    page.get_by_role("button", name="Revoke For the magazine").click()
    expect(page.locator(".share-state")).to_have_text("Revoked")
    console.expect("410")
    other = stranger(f"/s/{link.key}/")
    expect(other.get_by_role("heading", name="This link shows nothing")).to_be_visible()
    assert serious_faults(other) == []


def test_one_picture_is_downloaded_in_the_size_that_was_chosen(open_page, three):
    page = open_page()
    page.evaluate(DOWNLOAD, {"ids": [three[0].pk]})
    dialog = page.get_by_role("dialog", name="Download this picture")
    dialog.get_by_label("Size").select_option("own")
    dialog.get_by_label("Long side in pixels").fill("100")
    dialog.get_by_label("Format").select_option("png")
    assert serious_faults(page) == []
    with page.expect_download() as fetched:
        dialog.get_by_role("button", name="Download").click()
    assert fetched.value.suggested_filename == "dawn-100.png"
    expect(dialog).to_be_hidden()


def test_several_come_as_a_zip_and_who_may_not_is_told_why(
    open_page, three, anna, console, browser_context: BrowserContext
):
    page = open_page()
    page.evaluate(DOWNLOAD, {"query": "", "excluded": [three[0].pk]})
    dialog = page.get_by_role("dialog", name="Download these pictures")
    with page.expect_download() as fetched:
        dialog.get_by_role("button", name="Download").click()
    assert set(ZipFile(fetched.value.path()).namelist()) == {"pier.jpg", "dusk.jpg", "manifest.csv"}
    console.expect("403")
    three[1].collection.grants.update(level=1)
    page.evaluate(DOWNLOAD, {"ids": [three[1].pk]})
    dialog = page.get_by_role("dialog", name="Download this picture")
    dialog.get_by_role("button", name="Download").click()
    expect(dialog.get_by_role("alert")).to_contain_text("You may look at this picture, but not download it.")
