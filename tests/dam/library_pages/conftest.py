"""Anna, signed in, and a picture of hers."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dam.assets.models import Asset
from dam.tagging.services import claims_derive
from tests.dam.factories import AssetFactory, PredictionFactory, TagFactory, UserFactory


@pytest.fixture
def anna() -> User:
    return UserFactory(username="anna", first_name="Anna", last_name="Berg")


@pytest.fixture
def client(anna: User) -> Client:
    client = Client()
    client.force_login(anna)
    return client


@pytest.fixture
def suggested(anna: User) -> Asset:
    """Anna's picture, for which the model suggests dog (0.9) and bench (0.6)."""
    dog, bench = TagFactory(name="dog"), TagFactory(name="bench")
    asset = AssetFactory(filename="walk.jpg", uploaded_by=anna)
    PredictionFactory(asset=asset, tag_ids=[dog.pk, bench.pk], scores=[0.9, 0.6])
    claims_derive(asset=asset)
    return asset
