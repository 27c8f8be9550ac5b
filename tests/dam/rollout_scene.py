"""Versions in service and pictures that they answered, as the services and the writer would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.utils import timezone

from dam.assets.models import Asset
from dam.rollout.models import Rollout
from dam.rollout.services import serving_report
from dam.tagging.models import Decision, ModelVersion, Prediction, Tag
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
)


def versions(count: int) -> list[ModelVersion]:
    """Versions 1, 2, … of one model."""
    return [ModelVersionFactory(version=number) for number in range(1, count + 1)]


def promoted(champion: ModelVersion, predecessor: ModelVersion) -> Rollout:
    """The champion has just followed its predecessor."""
    serving_report(champion=predecessor)
    return serving_report(champion=champion, predecessor=predecessor)


def answered(
    asset: Asset,
    version: ModelVersion,
    *tags: Tag,
    purpose: str = "live",
    unsure: Iterable[Tag] = (),
    predict_ms: float | None = None,
) -> Prediction:
    """A version is sure of these tags, and knows the unsure ones."""
    scores = {tag.pk: 0.9 for tag in tags} | {tag.pk: 0.01 for tag in unsure}
    return PredictionFactory(
        asset=asset,
        model_version=version,
        generation=asset.predictions.count() + 1,
        purpose=purpose,
        tag_ids=list(scores),
        scores=list(scores.values()),
        predict_ms=predict_ms,
    )


def decided(
    asset: Asset,
    verdicts: Mapping[Tag, str],
    *,
    model: ModelVersion | None = None,
    at: datetime | None = None,
) -> None:
    """What a person said."""
    for tag, verdict in verdicts.items():
        DecisionFactory(
            asset=asset,
            tag=tag,
            verdict=Decision.Verdict(verdict),
            model_version=model,
            decided_at=at or timezone.now(),
            decided_by=None,
        )


def reviewed_library(
    champion: ModelVersion,
    challenger: ModelVersion,
    *,
    pictures: int = 60,
    wrong_of_champion: int = 0,
    wrong_of_challenger: int = 0,
) -> list[Asset]:
    """Pictures of dogs, all reviewed; on the first ones a version says "cat" instead, which is rejected."""
    dog, cat = TagFactory(name="dog"), TagFactory(name="cat")
    assets = AssetFactory.create_batch(pictures, uploaded_by=None)
    answers, decisions = [], []
    for place, asset in enumerate(assets):
        for version, wrong in ((champion, wrong_of_champion), (challenger, wrong_of_challenger)):
            sure, unsure = (cat, dog) if place < wrong else (dog, cat)
            answers.append(
                PredictionFactory.build(
                    asset=asset,
                    asset_version=asset.current_version,
                    model_version=version,
                    generation=1,
                    purpose="live" if version == champion else "shadow",
                    tag_ids=[sure.pk, unsure.pk],
                    scores=[0.9, 0.01],
                    predict_ms=10.0,
                )
            )
        decisions += [
            Decision(asset=asset, tag=tag, verdict=verdict, model_version=champion, decided_at=timezone.now())
            for tag, verdict in ((dog, "accepted"), (cat, "rejected"))
        ]
    Prediction.objects.bulk_create(answers)
    Decision.objects.bulk_create(decisions)
    return assets
