"""The page of one picture: deciding on its tags, and waiting for them."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import FailureReason, Outcome, Purpose, TagResult
from tests.dam.library_browser.scene import MARKS, answer

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
