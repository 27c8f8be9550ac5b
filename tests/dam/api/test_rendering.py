"""Answers look as Django REST framework writes them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import ErrorDetail
from rest_framework.renderers import JSONRenderer

from dam.api.rendering import QuickJSONRenderer
from dam.assets.models import Level
from dam.tagging.models import Tag
from tests.dam.factories import AssetFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
        datetime(2024, 5, 6, tzinfo=UTC),
        date(2024, 5, 6),
        timedelta(seconds=5.5),
        Decimal("1.20"),
        UUID(int=5),
        gettext_lazy("Yes"),
        ErrorDetail("no", "code"),
        Tag.Kind.LEAF,
        Level.CURATE,
        {1: (2, None)},
        "crème \U0001f436",
        0.1,
        2**63,
    ],
    ids=repr,
)
def test_values_of_every_kind_are_written_as_django_rest_framework_writes_them(value):
    assert QuickJSONRenderer().render({"value": value}) == JSONRenderer().render({"value": value})


def test_who_asks_for_indented_answers_gets_them(curator, place):
    asset = AssetFactory(collection=place)
    indented = curator("GET", f"assets/{asset.pk}/", accept="application/json; indent=2")
    assert b'\n  "id"' in indented.content
    assert indented.json() == curator.get(f"assets/{asset.pk}/")
