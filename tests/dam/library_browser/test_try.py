"""The page on which a picture is tagged without being kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.models import Tag
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import LabelScore, Outcome, Purpose, TagResult
from tests.dam.library_browser.scene import MARKS, MODEL, jpeg

pytestmark = MARKS


def test_a_picture_can_be_tried_without_being_kept(
    open_page: Callable[..., Page], tags: dict[str, Tag], tmp_path: Path
) -> None:
    picture = tmp_path / "try.jpg"
    picture.write_bytes(jpeg("violet"))
    page = open_page("/try/")
    with page.expect_request("**/api/v1/predict/**"):
        page.locator("#try-file").set_input_files(picture)
    expect(page.get_by_alt_text("The picture that you chose")).to_be_visible()
    expect(page.locator(".skeleton-lines")).to_be_visible()
    with page.expect_response(re.compile(r"/predict/\d+/")):
        pass
    job = TaggingJob.objects.get(purpose="try")
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.TRY,
            outcome=Outcome.TAGGED,
            model=MODEL,
            scores=(LabelScore(label="dog", score=0.93),),
        ),
        words=vocabulary(),
    )
    expect(page.locator(".try-tag")).to_have_text(re.compile(r"dog\s*93 %"))
    assert not Asset.objects.exists()
