"""What every test in a browser stands on: its marks, a picture, and the answer of a worker.

The catalogue has no worker here; where a test needs an answer, it records one as the results writer would.
"""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, Route

from dam.assets.models import Asset
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import LabelScore, ModelIdentity, Outcome, PictureFacts, Purpose, Rendition, TagResult

# The root collection comes from a migration, so the database is put back as the migrations left it.
MARKS = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

MODEL = ModelIdentity(name="tagger", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")


def jpeg(colour: str = "teal", width: int = 320, height: int = 240) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "JPEG")
    return stream.getvalue()


def answer(asset: Asset, **scores: float) -> None:
    """Record what a worker would have answered: these tags, and both renditions."""
    job = TaggingJob.objects.get(asset=asset, generation=asset.generation)
    key = asset.current_version.blob.key
    data = blob_store().read(key)
    stored = blob_store().put_renditions(key, {"grid.jpg": data, "preview.jpg": data})
    renditions = tuple(
        Rendition(name=name, key=stored[f"{name}.jpg"], width=asset.width, height=asset.height)
        for name in ("grid", "preview")
    )
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.LIVE,
            outcome=Outcome.TAGGED,
            model=MODEL,
            scores=tuple(LabelScore(label=slug, score=score) for slug, score in scores.items()),
            picture=PictureFacts(width=asset.width, height=asset.height),
            renditions=renditions,
        ),
        words=vocabulary(),
    )


def hold(page: Page, address: str | re.Pattern[str]) -> list[Route]:
    """Requests for that address go nowhere: each waits in the list until the test lets it go on."""
    held: list[Route] = []

    def take(route: Route) -> None:
        held.append(route)

    page.route(address, take)
    return held
