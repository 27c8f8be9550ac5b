"""The page *Status* follows what happens, says it aloud, takes no focus away, and rests in a hidden tab."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from dam.integrity.models import IntegrityFinding, IntegrityRun
from dam.integrity.report import FAULTS, Outcome
from dam.jobs.models import DeadLetter, Round
from dam.library import status_facts
from dam.monitoring.lately import Lately
from tests.dam.library_browser.scene import MARKS
from tests.dam.library_pages.test_status_page import queues, roomy

pytestmark = MARKS

OVERFLOWING = """() => [...document.querySelectorAll(".panel, .verdict, .measure")]
    .filter(node => node.scrollWidth > node.clientWidth)
    .map(node => node.outerHTML)"""
# Counts on the document, for the page's policy lets nobody wait for an expression.
COUNT_LOOKS = """() => document.addEventListener("htmx:beforeRequest", () => {
    const seen = document.documentElement.dataset;
    seen.looks = String(Number(seen.looks ?? 0) + 1);
})"""


@pytest.fixture(autouse=True)
def well(monkeypatch):
    """The broker answers, disks have room, and the relay did its round."""
    monkeypatch.setattr(status_facts, "disks_read", roomy)
    monkeypatch.setattr(status_facts, "_queues", Lately(queues, every_s=0, patience_s=30))
    Round.objects.create(name="rollout", begun_at=timezone.now() + timedelta(hours=1))


def test_the_page_follows_what_happens_and_says_it(open_page: Callable[[str], Page]) -> None:
    page = open_page("/")
    page.get_by_role("link", name="Status").click()
    expect(page.get_by_role("heading", name="All is well.")).to_be_visible()
    expect(page.get_by_role("link", name="Status")).to_have_attribute("aria-current", "page")
    models = page.get_by_role("link", name="Versions, evidence and history")
    models.focus()

    DeadLetter.objects.create(digest="d", queue="tagging.bulk.dead", body=b"x", reason="delivery limit")
    expect(page.get_by_role("heading", name="1 dead letter waits for you.")).to_be_visible()
    expect(page.locator("#announcer")).to_have_text("1 dead letter waits for you.")
    # The part was drawn anew below the hand, which is where it was.
    expect(models).to_be_focused()

    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERFLOWING) == []


def test_damaged_originals_are_said_and_lead_to_their_list(open_page: Callable[[str], Page]) -> None:
    run = IntegrityRun.objects.create(
        begun_at=timezone.now() - timedelta(hours=2),
        ended_at=timezone.now(),
        outcome=Outcome.DONE,
        command="a test",
        store="s3://pictures/of-the-museum",
        originals=1_234_567,
        read=61_729,
        damaged=13,
        tallies=[[kind, of, 5 + number, 70_000_000] for number, (kind, of) in enumerate(FAULTS)],
    )
    IntegrityFinding.objects.create(
        run=run, kind="missing", subject="original", path=f"ab/cd/{'abcd' * 16}/original", size=123
    )
    page = open_page("/status/")
    expect(page.get_by_role("heading", name="13 originals are missing or changed.")).to_be_visible()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERFLOWING) == []

    page.get_by_role("link", name="Show them").click()
    expect(page.get_by_role("link", name="abcdabcd")).to_be_visible()


def test_a_hidden_tab_does_not_ask_and_asks_when_it_comes_back(open_page: Callable[[str], Page]) -> None:
    page = open_page("/status/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/status/live/" in request.url else None)
    hide = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => %s })"
    page.evaluate(hide % "true")
    page.evaluate(COUNT_LOOKS)
    expect(page.locator("html")).to_have_attribute("data-looks", "1")
    assert asked == []

    DeadLetter.objects.create(digest="d", queue="tagging.bulk.dead", body=b"x")
    page.evaluate(hide % "false")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("heading", name="1 dead letter waits for you.")).to_be_visible()
    assert asked
