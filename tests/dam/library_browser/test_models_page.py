"""The page of model versions: a reason is asked for, and the page follows what is under way."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.rollout.models import Step
from dam.rollout.services import serving_report
from tests.dam.factories import ModelVersionFactory
from tests.dam.library_browser.scene import MARKS
from tests.dam.library_browser.test_every_page import NAMELESS

pytestmark = MARKS


def test_a_promotion_against_the_gate_wants_a_reason_and_the_page_shows_when_it_is_done(
    open_page: Callable[[str], Page], anna: User
) -> None:
    User.objects.filter(pk=anna.pk).update(is_superuser=True)
    first, second = ModelVersionFactory(version=1), ModelVersionFactory(version=2)
    serving_report(champion=first, challenger=second)
    page = open_page("/")
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    expect(page.get_by_role("link", name="Models")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("The gate is shut.", exact=True)).to_be_visible()

    page.get_by_text("Promote all the same", exact=True).click()
    promote = page.get_by_role("button", name="Promote version 2 all the same")
    promote.click()
    # The browser itself asks for the reason.
    assert page.evaluate("document.activeElement.name") == "reason"
    assert not Step.objects.filter(state=Step.State.ASKED).exists()
    page.get_by_label("Why?").and_(page.locator("#reason-promote")).fill("We looked at all of them.")
    promote.click()
    told = page.get_by_text("Promotion of version 2 is asked for.")
    expect(told).to_be_visible()
    expect(page.locator("[autofocus]")).to_be_focused()
    expect(page.get_by_text("Promotion of version 2 is under way.")).to_be_visible()
    assert Step.objects.get(state=Step.State.ASKED).reason == "We looked at all of them."

    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(NAMELESS) == []

    # Away and back: the page goes on to ask.
    page.get_by_role("link", name="Tags", exact=True).click()
    expect(page.get_by_role("heading", name="No tags yet")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Promotion of version 2 is under way.")).to_be_visible()
    serving_report(champion=second, predecessor=first)
    service = page.get_by_role("region", name="In service")
    expect(service.locator(".version-name")).to_contain_text("Version 2 champion")
    expect(page.get_by_text("is under way")).to_have_count(0)
    expect(page.get_by_role("region", name="History").get_by_text("Version 2 was promoted")).to_be_visible()
