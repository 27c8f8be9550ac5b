"""The page of one picture: deciding on its tags, and waiting for them."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, Tag
from dam.tagging.services import decision_make, result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import FailureReason, Outcome, Purpose, TagResult
from tests.dam.factories import UserFactory
from tests.dam.library_browser.scene import MARKS, answer, hold

pytestmark = MARKS


def test_tags_are_accepted_rejected_undone_and_added_by_keyboard(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9, bench=0.6)
    page = open_page(f"/assets/{asset.pk}/")
    dog, bench = page.locator("#claim-dog"), page.locator("#claim-bench")
    page.keyboard.press("ArrowDown")
    expect(dog).to_be_focused()
    page.keyboard.press("a")
    expect(dog).to_contain_text("Accepted by Anna")
    expect(dog).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(bench).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_text("1 rejected")).to_be_visible()
    expect(dog).to_be_focused()
    page.get_by_text("1 rejected").click()
    bench.get_by_role("button", name="Undo for bench").click()
    expect(bench).to_have_attribute("data-state", "suggested")
    page.keyboard.press("t")
    page.keyboard.type("Golden Hour")
    page.keyboard.press("Enter")
    added = page.locator("#claim-golden-hour")
    expect(added).to_contain_text("Added by Anna")
    expect(page.locator("#new-tag")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Added Golden Hour")
    page.keyboard.type("ca")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#claim-cat")).to_contain_text("Added by Anna")
    said = dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))
    assert said == {"dog": "accepted", "bench": "suggested", "golden-hour": "accepted", "cat": "accepted"}


def test_the_last_rejection_is_undone_by_a_key_wherever_the_focus_is(
    open_page: Callable[..., Page], add: Callable[..., Asset], anna: User
) -> None:
    asset = add("walk.jpg", dog=0.9, bench=0.8, cat=0.7)
    decision_make(
        asset=asset, tag=Tag.objects.get(slug="cat"), verdict=Decision.Verdict.REJECTED, user=UserFactory()
    )
    page = open_page(f"/assets/{asset.pk}/")
    dog, bench = page.locator("#claim-dog"), page.locator("#claim-bench")
    page.keyboard.press("z")
    expect(page.locator(".toast")).to_contain_text("you have rejected no tag")
    # Accepted first, so that there is something else to undo where the focus rests after the rejection.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("a")
    expect(dog).to_have_attribute("data-state", "accepted")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")
    page.keyboard.press("z")  # before the answer to the rejection, too
    expect(page.locator(".toast")).to_have_text("Undone for bench")
    expect(bench).to_be_focused()
    expect(bench).to_have_attribute("data-state", "suggested")
    expect(dog).to_have_attribute("data-state", "accepted")
    # What somebody else rejected stays, and can be seen now.
    expect(page.locator("#claim-cat")).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_text("2 rejected")).to_be_visible()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("z")
    expect(bench).to_have_attribute("data-state", "suggested")
    expect(bench).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("z")
    expect(dog).to_have_attribute("data-state", "suggested")
    said = dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))
    assert said == {"dog": "suggested", "bench": "suggested", "cat": "rejected"}


def test_the_only_tag_is_rejected_and_brought_back_by_keys(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9)
    page = open_page(f"/assets/{asset.pk}/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")
    expect(page.get_by_text("1 rejected")).to_be_focused()
    expect(page.locator("#claims")).to_contain_text("No tag is left. Add what you see.")
    page.keyboard.press("z")
    expect(page.locator("#claim-dog")).to_have_attribute("data-state", "suggested")


def test_a_decision_shows_on_the_card_when_one_returns_to_the_wall(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9, bench=0.8)
    add("other.jpg", cat=0.9)
    page = open_page("/?q=jpg")
    card = page.locator(f'.card[data-asset-id="{asset.pk}"]')
    expect(card).to_have_attribute("data-tags", "dog, bench")
    box = page.get_by_role("dialog", name="Picture")

    def back_to_the_wall() -> None:
        page.keyboard.press("Escape")
        expect(box).to_be_visible()
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()

    card.click()
    page.keyboard.press("e")
    expect(page.locator("article.asset")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")
    expect(page.get_by_text("1 rejected")).to_be_visible()
    back_to_the_wall()
    expect(card).to_have_attribute("data-tags", "bench")
    expect(card.locator(".card-link")).to_be_focused()

    # One that was left before the answer came.
    held = hold(page, "**/decide/**")
    page.keyboard.press("Enter")
    expect(box).to_be_visible()
    page.keyboard.press("e")
    expect(page.locator("article.asset")).to_be_visible()
    page.keyboard.press("ArrowDown")
    with page.expect_request("**/decide/**"):
        page.keyboard.press("r")
    back_to_the_wall()
    expect(card).to_have_attribute("data-tags", "bench")
    held[0].continue_()
    expect(card).to_have_attribute("data-tags", "")
    expect(card.locator(".card-link")).to_have_attribute("href", re.compile(rf"/assets/{asset.pk}/\?q=jpg$"))


def test_escape_after_a_reload_leads_back_to_the_same_search(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("a.jpg", dog=0.9)
    add("b.jpg", dog=0.9)
    page = open_page("/?q=dog&sort=name")
    card = page.locator(f'.card[data-asset-id="{asset.pk}"]')
    card.click()
    expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    page.reload()
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(2)
    assert page.url.endswith("/?q=dog&sort=name")
    expect(card.locator(".card-link")).to_be_focused()


def test_a_pending_picture_shows_its_tags_as_soon_as_they_are_there(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("soon.jpg")
    page = open_page(f"/assets/{asset.pk}/")
    expect(page.get_by_text("Being tagged.")).to_be_visible()
    answer(asset, dog=0.9)
    expect(page.locator("#claim-dog")).to_be_visible()
    expect(page.get_by_text("Being tagged.")).to_have_count(0)


def test_a_failed_picture_has_a_reason_instead_of_a_broken_image(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("broken.jpg")
    job = TaggingJob.objects.get(asset=asset)
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.LIVE,
            outcome=Outcome.FAILED,
            reason=FailureReason.CORRUPT,
        ),
        words=vocabulary(),
    )
    page = open_page(f"/assets/{asset.pk}/")
    expect(page.get_by_text("The file is damaged")).to_be_visible()
    expect(page.locator(".stage img")).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Being tagged.")).to_be_visible()
    assert Asset.objects.get().state == Asset.State.PENDING
