"""Versions in service and on trial, and Anna, who manages them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from dam.rollout.models import Rollout
from dam.rollout.services import serving_report
from dam.tagging.models import ModelVersion
from tests.dam.factories import (
    AssetFactory,
    DecisionFactory,
    ModelVersionFactory,
    PredictionFactory,
    TagFactory,
)
from tests.dam.library_pages.models_page.reading import Try
from tests.dam.library_pages.rendered import PLACEHOLDER


@pytest.fixture
def manager(anna: User, client: Client) -> Client:
    """Anna, who was given the right to manage the rollout and is no staff."""
    anna.user_permissions.add(Permission.objects.get(codename="manage_rollout"))
    return client


@pytest.fixture
def champion() -> ModelVersion:
    """Version 2 serves, after version 1; neither is watched."""
    first, second = ModelVersionFactory(version=1), ModelVersionFactory(version=2)
    serving_report(champion=second, predecessor=first)
    Rollout.objects.update(min_pictures=4, min_reviews=4)
    return second


@pytest.fixture
def try_version(champion: ModelVersion, anna: User) -> Try:
    """``try_version(3, dog=0.9)``: a challenger that says so of six pictures, whose dog people accepted."""

    def begin(number: int, **scores: float) -> ModelVersion:
        challenger = ModelVersionFactory(version=number)
        dog, tags = TagFactory(name="dog"), {name: TagFactory(name=name) for name in scores}
        for place in range(6):
            asset = AssetFactory(
                uploaded_by=anna, generation=2, renditions={"grid": {"key": "k"}}, placeholder=PLACEHOLDER
            )
            PredictionFactory(
                asset=asset, model_version=champion, generation=1, tag_ids=[dog.pk], scores=[0.9]
            )
            PredictionFactory(
                asset=asset,
                model_version=challenger,
                purpose="shadow",
                tag_ids=[tags[name].pk for name in scores],
                scores=list(scores.values()),
            )
            DecisionFactory(asset=asset, tag=dog, verdict="accepted", model_version=champion)
            if "cat" in tags and place < 3:
                DecisionFactory(asset=asset, tag=tags["cat"], verdict="added")
        predecessor = ModelVersion.objects.get(version=1)
        serving_report(champion=champion, challenger=challenger, predecessor=predecessor)
        return challenger

    return begin
