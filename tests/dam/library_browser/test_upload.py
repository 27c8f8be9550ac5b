"""Files that are dropped or chosen, and what the tray says of them."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

from django.contrib.auth.models import User
from playwright.sync_api import Page, Request, expect
from pytest_django.live_server_helper import LiveServer

from dam.assets.models import Asset
from tests.dam.library_browser.scene import MARKS, answer, hold, jpeg
from tests.plugins.browser import Console

pytestmark = MARKS

DROP = """
async files => {
    const data = new DataTransfer();
    for (const {name, type, bytes} of files)
        data.items.add(new File([Uint8Array.from(atob(bytes), char => char.charCodeAt(0))], name, {type}));
    const event = kind => new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event("dragenter"));
    await new Promise(requestAnimationFrame);
    const veil = !document.getElementById("drop-veil").hidden;
    document.body.dispatchEvent(event("dragover"));
    document.body.dispatchEvent(event("drop"));
    return veil;
}
"""


def drop(page: Page, **files: bytes) -> bool:
    """Drop files on the page; whether it showed that they may be dropped."""
    named = [
        {"name": name.replace("_", "."), "type": "image/jpeg", "bytes": base64.b64encode(content).decode()}
        for name, content in files.items()
    ]
    return bool(page.evaluate(DROP, named))


def test_dropped_files_are_uploaded_and_each_is_told_what_became_of_it(
    open_page: Callable[..., Page], add: Callable[..., Asset], console: Console
) -> None:
    console.expect("status of 4(00|15)")  # the two that are refused
    add("here.jpg", dog=0.9)
    page = open_page()
    assert drop(
        page, new_jpg=jpeg("orange"), same_jpg=jpeg("rgb(0, 0, 120)"), notes_jpg=b"text", empty_jpg=b""
    )
    parcel = page.locator(".parcel")
    expect(parcel.filter(has_text="new.jpg")).to_contain_text("Being tagged")
    expect(parcel.filter(has_text="same.jpg")).to_contain_text("Already in the library")
    expect(parcel.filter(has_text="notes.jpg")).to_have_attribute("data-phase", "refused")
    expect(parcel.filter(has_text="empty.jpg")).to_have_attribute("data-phase", "refused")
    expect(page.locator("#tray-sub")).to_have_text("1 being tagged · 1 already here · 2 refused")
    expect(page.locator("#drop-veil")).to_be_hidden()

    # It joins the wall by itself, and so do its tags.
    fresh = Asset.objects.get(filename="new.jpg")
    card = page.locator(f'.card[data-asset-id="{fresh.pk}"]')
    expect(card).to_have_attribute("data-state", "pending")
    expect(page.locator(".results-count")).to_have_text("2 pictures")
    answer(fresh, dog=0.8)
    expect(card).to_have_attribute("data-state", "tagged")
    expect(parcel.filter(has_text="new.jpg")).to_contain_text("dog")
    expect(parcel.filter(has_text="new.jpg").get_by_role("link")).to_have_attribute(
        "href", f"/assets/{fresh.pk}/"
    )


def test_the_first_upload_replaces_the_empty_library(open_page: Callable[..., Page], tmp_path: Path) -> None:
    picture = tmp_path / "first.jpg"
    picture.write_bytes(jpeg("gold"))
    page = open_page()
    page.on("filechooser", lambda chooser: chooser.set_files(picture))
    open_page()  # Playwright has taken over the dialogue by the time that a page was loaded
    expect(page.get_by_text("Your library is empty")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.get_by_text("Your library is empty")).to_have_count(0)


def test_an_upload_that_the_network_lost_can_be_tried_again(
    open_page: Callable[..., Page], console: Console
) -> None:
    console.expect("net::ERR_FAILED")
    page = open_page()
    page.route("**/api/v1/assets/", lambda route: route.abort())
    drop(page, lost_jpg=jpeg())
    parcel = page.locator(".parcel")
    expect(parcel).to_have_attribute("data-phase", "lost")
    page.unroute("**/api/v1/assets/")
    parcel.get_by_role("button", name="Try again").click()
    expect(parcel).to_have_attribute("data-phase", "pending")


def test_uploads_go_on_while_one_looks_at_other_pages_and_leaving_is_warned_of(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("here.jpg", dog=0.9)
    page = open_page()
    held = hold(page, "**/api/v1/assets/")
    drop(page, slow_jpg=jpeg("pink"))
    expect(page.locator('.parcel[data-phase="sending"]')).to_have_count(1)
    page.get_by_role("link", name="Tags").click()
    expect(page.get_by_role("heading", name="Tags", exact=True)).to_be_visible()
    assert page.evaluate("!dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    held[0].continue_()
    expect(page.locator('.parcel[data-phase="pending"]')).to_have_count(1)
    assert page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")


def test_uploads_wait_for_a_new_sign_in_and_then_go_on(
    open_page: Callable[..., Page], live_server: LiveServer, anna: User, console: Console
) -> None:
    console.expect("status of 401")
    page = open_page()
    token = page.evaluate("document.cookie")
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/assets/") else None)
    page.context.clear_cookies()
    anna.set_password("correct horse")
    anna.save()
    drop(page, **{f"{number}_jpg": jpeg(f"rgb({40 * number}, 0, 0)") for number in range(6)})
    expect(page.locator("#tray-title")).to_have_text("You are signed out")
    expect(page.locator("#tray-sub")).to_have_text("6 not sent")
    expect(page.locator("#tray-signed-out")).to_have_text(
        "You are signed out. Sign in again, and these uploads go on."
    )
    assert len(sent) <= 3  # those under way; neither the others nor a second try
    assert page.evaluate("!dispatchEvent(new Event('beforeunload', {cancelable: true}))")

    with page.expect_popup() as popup:
        page.get_by_role("link", name="Sign in again").click()
    other = popup.value
    other.get_by_label("User name").fill("anna")
    other.get_by_label("Password").fill("correct horse")
    other.get_by_role("button", name="Sign in").click()
    other.wait_for_url(f"{live_server.url}/")
    assert page.evaluate("document.cookie") != token  # so that of this page is no longer worth anything
    page.evaluate("dispatchEvent(new Event('focus'))")  # a headless page never loses it
    expect(page.locator('.parcel[data-phase="pending"]')).to_have_count(6)
    expect(page.locator("#tray-signed-out")).to_be_hidden()
    assert Asset.objects.filter(uploaded_by=anna).count() == 6


def test_uploads_are_tried_again_on_request_while_one_is_still_signed_out(
    open_page: Callable[..., Page], console: Console
) -> None:
    console.expect("status of 401")
    page = open_page()
    kept = page.context.cookies()
    page.context.clear_cookies()
    drop(page, a_jpg=jpeg())
    retry = page.locator("#tray-retry")
    expect(retry).to_be_visible()
    with page.expect_response("**/api/v1/assets/"):
        retry.click()
    expect(page.locator("#tray-title")).to_have_text("You are signed out")
    page.context.add_cookies(kept)
    retry.click()
    expect(page.locator('.parcel[data-phase="pending"]')).to_have_count(1)
