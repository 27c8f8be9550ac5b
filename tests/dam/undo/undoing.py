"""Versions answer, are withdrawn and reinstated; what people see of it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from dam.assets.models import Asset
from dam.assets.services import asset_request_tags
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Decision, ModelVersion
from dam.tagging.services import result_record
from dam.tagging.undo import (
    version_reinstate,
    version_withdraw,
)
from dam.tagging.vocabulary import vocabulary
from tests.dam.tagging_scene import answer

Purpose = TaggingJob.Purpose


def say(asset: Asset, scores: dict[str, float], *, version: int, purpose: Any = Purpose.CAMPAIGN) -> None:
    """Have a version answer for an asset: its open job, or one of a campaign."""
    job = TaggingJob.objects.filter(asset=asset, state__in=("queued", "published")).first()
    job = job or asset_request_tags(asset=asset, purpose=purpose)
    result_record(result=answer(job, scores, version=version), words=vocabulary())


def version(number: int) -> ModelVersion:
    return ModelVersion.objects.get(version=number)


def withdraw(number: int) -> ModelVersion:
    found = version(number)
    with transaction.atomic():
        version_withdraw(version=found)
    return found


def reinstate(number: int) -> None:
    with transaction.atomic():
        version_reinstate(version=version(number))


def seen() -> dict[int, tuple[Any, ...]]:
    """Everything that people see of tags, asset by asset, with its provenance."""
    return {
        asset.pk: (
            asset.state,
            asset.tag_ids,
            sorted(
                Claim.objects.filter(asset=asset).values_list(
                    "tag__slug", "state", "source", "score", "threshold", "model_version__version"
                )
            ),
        )
        for asset in Asset.objects.all()
    }


def decisions() -> list[dict[str, Any]]:
    return list(Decision.objects.order_by("pk").values())


def retag(assets: list[Asset]) -> None:
    for asset in assets:
        say(asset, {"espresso": 0.9, "beagle": 0.6}, version=2)


def published_job(asset: Asset) -> TaggingJob:
    TaggingJob.objects.filter(asset=asset, state="queued").update(state="published", attempts=1)
    return TaggingJob.objects.get(asset=asset, state="published")
