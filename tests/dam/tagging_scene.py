"""A small vocabulary, pictures, and answers to their jobs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim
from dam.tagging.vocabulary import VocabularyEntry
from pipeline.messages import (
    FailureReason,
    LabelScore,
    ModelIdentity,
    Outcome,
    PictureFacts,
    Purpose,
    Rendition,
    TagResult,
    encode_embedding,
)

MODEL = ModelIdentity(name="tagger", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")


VOCABULARY = [
    VocabularyEntry(slug="animal", name="animal", kind="ancestor", threshold=0.3),
    VocabularyEntry(slug="dog", name="dog", kind="ancestor", parents=["animal"], threshold=0.3),
    VocabularyEntry(slug="beagle", name="beagle", parents=["dog"], synonyms=["hound"], threshold=0.3),
    VocabularyEntry(slug="espresso", name="espresso", threshold=0.3),
]


def picture(shade: int = 0) -> io.BytesIO:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 30, 30)).save(stream, "PNG")
    stream.seek(0)
    return stream


def answer(job: TaggingJob, scores: dict[str, float], *, version: int = 1) -> TagResult:
    return TagResult(
        job_id=job.pk,
        generation=job.generation,
        purpose=Purpose(job.purpose),
        outcome=Outcome.TAGGED,
        model=MODEL.model_copy(update={"version": version}),
        scores=[LabelScore(label=label, score=score) for label, score in scores.items()],
        embedding_f32=encode_embedding(np.full(320, 320**-0.5, dtype=np.float32)),
        picture=PictureFacts(width=64, height=48, placeholder="data:image/jpeg;base64,AA=="),
        renditions=[Rendition(name="grid", key="k/grid.jpg", width=64, height=48)],
    )


def failure(job: TaggingJob) -> TagResult:
    return TagResult(
        job_id=job.pk,
        generation=job.generation,
        purpose=Purpose(job.purpose),
        outcome=Outcome.FAILED,
        reason=FailureReason.CORRUPT,
        detail="The file ends too early.",
    )


def shown(asset: Asset) -> dict[str, str]:
    return dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))


SURE = {"beagle": 0.8, "dog": 0.9, "animal": 0.95, "espresso": 0.02}
