"""A newcomer's first five minutes, in a real browser, on the real system."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Page, expect

from tests.plugins.browser import Console
from tests.plugins.system import System

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

_DROP = """
async files => {
    const data = new DataTransfer();
    for (const {name, type, bytes} of files) {
        const raw = Uint8Array.from(atob(bytes), char => char.charCodeAt(0));
        data.items.add(new File([raw], name, {type}));
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        document.body.dispatchEvent(
            new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
    }
}
"""


def drop(page: Page, paths: list[Path]) -> None:
    page.evaluate(
        _DROP,
        [
            {
                "name": path.name,
                "type": f"image/{'jpeg' if path.suffix == '.jpg' else 'png'}",
                "bytes": base64.b64encode(path.read_bytes()).decode(),
            }
            for path in paths
        ],
    )


def test_twenty_photos_are_dropped_tagged_and_found(
    own_system: System, page: Page, photos: list[Path]
) -> None:
    # The page is asked for later, so it is closed first: a stop waits for open pages.
    own_system.start()
    page.goto(own_system.sign_in_link())
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    # A newcomer has no password yet and may go on without one.
    page.get_by_role("link", name="Not now").click()
    page.wait_for_url(f"{own_system.address}/")
    drop(page, photos)

    # A bar for each and for the whole; then every picture is there and tagged, without a reload by hand.
    cards = page.locator("[data-asset-id]")
    expect(cards).to_have_count(20, timeout=120_000)
    expect(page.locator('[data-asset-id][data-state="tagged"]')).to_have_count(20, timeout=120_000)
    expected = {
        "assets": 20,
        "tagged": 20,
        "pending": 0,
        "failed": 0,
        "failed_by_reason": {},
        "forgotten": 0,
        "unproven": 0,
        "agrees": True,
    }
    ledger = own_system.ledger()
    assert {name: ledger[name] for name in expected} == expected

    search = page.get_by_role("combobox", name=re.compile("search", re.IGNORECASE))
    for words, found, not_found in (
        ("cat", "chelsea.png", "rocket.jpg"),
        ("animal -dog", "chelsea.png", "coffee.png"),
        ("tag:espresso", "coffee.png", "chelsea.png"),
        ("rocket", "rocket.jpg", "coffee.png"),
    ):
        search.fill(words)
        search.press("Enter")
        # That very page: the one before stays until the answer is there.
        page.wait_for_url(f"{own_system.address}/?q={quote_plus(words)}")
        expect(page.get_by_role("heading", name=f"Results for “{words}”")).to_have_count(1)
        expect(page.get_by_alt_text(re.compile(re.escape(found)))).to_be_visible(timeout=20_000)
        expect(page.get_by_alt_text(re.compile(re.escape(not_found)))).to_have_count(0)


def test_a_sign_in_link_works_once(page: Page, console: Console, system: System) -> None:
    console.expect(r"status of 410")
    link = system.cli("sign_in_link").stdout.strip()
    page.goto(link)
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    page.wait_for_url(re.compile("^((?!sign-in/link).)*$"))
    page.context.clear_cookies()
    page.goto(link)
    expect(page.get_by_role("button", name=re.compile("^sign in", re.IGNORECASE))).to_have_count(0)
