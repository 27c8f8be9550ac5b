"""Pictures, and a library of them that a version tagged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.tagging.models import Decision, Tag
from dam.tagging.services import decision_make
from tests.dam.tagging_scene import SURE, picture
from tests.dam.undo.undoing import say


@pytest.fixture
def make(person: User) -> Callable[[], Asset]:
    shades = iter(range(1, 256))

    def new() -> Asset:
        return asset_create(stream=picture(next(shades)), filename="a.png", user=person).asset

    return new


@pytest.fixture
def library(make, person: User) -> list[Asset]:
    """Six pictures that version 1 tagged and people decided on, and then version 2 tagged again."""
    assets = [make() for _ in range(6)]
    for asset in assets:
        say(asset, SURE, version=1)
    tags = {tag.slug: tag for tag in Tag.objects.all()}
    decision_make(asset=assets[0], tag=tags["beagle"], verdict=Decision.Verdict.REJECTED, user=person)
    decision_make(asset=assets[1], tag=tags["dog"], verdict=Decision.Verdict.ACCEPTED, user=person)
    decision_make(asset=assets[2], tag=tags["espresso"], verdict=Decision.Verdict.ADDED, user=person)
    return assets
