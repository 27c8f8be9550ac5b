"""Assets as JSON without the serializer: the same as with it, and quick."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from dam.api.asset_json import asset_json, assets_json
from dam.api.serializers import AssetSerializer
from dam.assets.models import Asset
from dam.search.selectors import search_assets
from dam.tagging.models import Claim
from tests.dam.factories import AssetFactory, ClaimFactory, TagFactory, UserFactory

pytestmark = pytest.mark.django_db

MOMENT = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)


@pytest.fixture
def assets():
    """One with nothing that may be missing, one with all of it, one that failed and expired."""
    rendition = {"key": "k", "media_type": "image/jpeg", "width": 1, "height": 1}
    AssetFactory(uploaded_by=None)
    full = AssetFactory(
        title="Gate",
        description="Fog",
        taken_at=MOMENT,
        camera="Leica M3",
        width=480,
        height=640,
        colours=["red", "grey"],
        licence="CC0-1.0",
        credit="Somebody",
        release_status=Asset.Release.OBTAINED,
        embargo_until=dt.date(2999, 1, 1),
        placeholder="data:,",
        renditions={"grid": rendition, "preview": rendition},
        tags=[TagFactory(name="fog")],
    )
    ClaimFactory(asset=full, tag=TagFactory(name="dog"), state=Claim.State.REJECTED, score=None)
    AssetFactory(
        width=3, height=3, state=Asset.State.FAILED, reason="corrupt", expires_on=dt.date(2000, 1, 1)
    )
    return search_assets(user=UserFactory()).assets


def test_it_says_what_the_schema_says(assets):
    reasons = {assets[0].pk: [{"kind": "tag", "text": "fog", "via": ""}]}
    by_serializer = AssetSerializer(assets, many=True, context={"matched": reasons}).data
    ours = assets_json(assets, matched=reasons)
    assert json.loads(json.dumps(ours)) == json.loads(json.dumps(by_serializer))
    assert list(ours[0]) == list(by_serializer[0])
    assert asset_json(assets[1]) == ours[1]


def test_it_asks_nothing_of_the_database(assets, django_assert_num_queries):
    with django_assert_num_queries(0):
        assets_json(assets)
