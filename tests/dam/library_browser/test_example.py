"""Pictures like one that somebody has: shown to the search field, answered by a worker, never kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Response, expect

from dam.assets.models import Asset, Collection
from dam.jobs.models import TaggingJob
from dam.tagging.models import Likeness
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import FailureReason, Outcome, Purpose, TagResult, encode_embedding
from tests.dam.library_browser.scene import MARKS, MODEL, jpeg
from tests.plugins.axe import serious_faults
from tests.plugins.browser import Console

pytestmark = MARKS

ASKED_AGAIN = re.compile(r"/api/v1/similar/\d+/$")


def towards(cosine: float) -> np.ndarray:
    """A unit vector that has this cosine with the first axis."""
    vector = np.zeros(320, dtype=np.float32)
    vector[:2] = cosine, (1 - cosine**2) ** 0.5
    return vector


def answered(**facts: object) -> None:
    """What a worker says of the picture that is asked about."""
    job = TaggingJob.objects.latest("pk")
    result_record(
        result=TagResult.model_validate(
            {"job_id": job.pk, "generation": job.generation, "purpose": Purpose.TRY, **facts}
        ),
        words=vocabulary(),
    )


def waits(response: Response) -> bool:
    return bool(ASKED_AGAIN.search(response.url)) and response.status == 202


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "example.jpg"
    path.write_bytes(jpeg("violet"))
    return path


def test_the_most_similar_pictures_come_for_one_that_is_shown_by_keyboard(
    open_page: Callable[..., Page], add: Callable[..., Asset], example: Path
) -> None:
    for name, cosine in (("far.jpg", 0.1), ("nearest.jpg", 0.95), ("near.jpg", 0.8), ("secret.jpg", 1)):
        asset = add(name, dog=0.9)
        likeness = {"embedding": towards(cosine), "embedding_id": MODEL.embedding_id}
        Likeness.objects.update_or_create(asset=asset, defaults=likeness)
    vault = Collection.objects.add_root(create_kwargs={"name": "Vault"})
    Asset.objects.filter(filename="secret.jpg").update(collection=vault)
    page = open_page()
    # Playwright begins to listen beside the next key, too late for a key that opens the chooser at once.
    page.on("filechooser", lambda _chooser: None)
    page.keyboard.press("/")
    page.keyboard.press("Tab")
    camera = page.get_by_role("button", name="Find pictures like one that you have")
    expect(camera).to_be_focused()
    with page.expect_file_chooser() as chooser, page.expect_response(waits):
        page.keyboard.press("Enter")
        chooser.value.set_files(example)
    expect(page.locator("#announcer")).to_have_text("Looking for pictures like yours")
    expect(page.get_by_role("heading", name="Library")).to_be_visible()

    answered(outcome=Outcome.TAGGED, model=MODEL, embedding_f32=encode_embedding(towards(1)))

    page.wait_for_url(f"**/similar/{TaggingJob.objects.latest('pk').pk}/")
    expect(page.get_by_role("heading", name="Like your example")).to_be_visible()
    cards = page.locator(".card")
    expect(cards).to_have_count(3)
    assert [card.get_attribute("data-name") for card in cards.all()] == ["nearest.jpg", "near.jpg", "far.jpg"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious_faults(page) == []
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#lightbox-name")).to_have_text("nearest.jpg")
    assert not Asset.objects.filter(filename="example.jpg").exists()


def test_what_nothing_can_be_found_by_is_refused_in_a_sentence(
    open_page: Callable[..., Page],
    add: Callable[..., Asset],
    example: Path,
    tmp_path: Path,
    console: Console,
) -> None:
    console.expect("status of 4(15|22)")
    add("a.jpg", dog=0.9)
    note = tmp_path / "note.jpg"
    note.write_text("No picture.")
    page = open_page()
    page.locator("#example-file").set_input_files(note)
    expect(page.locator(".toast")).to_have_text(re.compile(r"^[A-Z].*\.$"))
    with page.expect_response(waits):
        page.locator("#example-file").set_input_files(example)
    answered(outcome=Outcome.FAILED, reason=FailureReason.CORRUPT, detail="The file ends too early.")
    expect(page.locator(".toast")).to_have_text("The file ends too early.")
    expect(page.locator(".search-field")).not_to_have_class(re.compile("is-asking"))
    expect(page.get_by_role("heading", name="Library")).to_be_visible()
