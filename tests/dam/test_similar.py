"""Which pictures look alike, of those that a person may see."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from pgvector import HalfVector

from dam.assets.models import Asset, Grant, Level
from dam.assets.services import root_collection
from dam.search import similar
from dam.search.selectors import neighbours, search_assets, similar_assets
from dam.search.similar import similar_ids, similar_to
from dam.tagging.models import EMBEDDING_DIMENSIONS, Likeness
from tests.dam.factories import AssetFactory, CollectionFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


def direction(degrees):
    vector = np.zeros(EMBEDDING_DIMENSIONS, np.float32)
    vector[:2] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return HalfVector(vector)


def looking(degrees, *, space="space-1", **fields):
    """An asset whose embedding points there."""
    asset = AssetFactory(**fields)
    Likeness.objects.create(asset=asset, embedding=direction(degrees), embedding_id=space)
    return asset


@pytest.fixture(params=["one by one", "by the index"])
def way(request, monkeypatch):
    """Both ways to find them give the same answers."""
    monkeypatch.setattr(similar, "FEW", 20_000 if request.param == "one by one" else -1)
    return request.param


def test_the_most_similar_come_first_without_the_picture_itself(user, way):
    here, far, near = looking(0), looking(80), looking(10)
    assert similar_ids(user=user, asset_id=here.pk) == [near.pk, far.pk]
    (first, similarity), _ = similar_assets(user=user, asset_id=here.pk)
    assert (first.pk, similarity) == (near.pk, pytest.approx(np.cos(np.radians(10)), abs=1e-3))


def test_embeddings_of_different_models_are_not_compared(user, way):
    here = looking(0)
    looking(1, space="space-2")
    same = looking(50)
    assert similar_ids(user=user, asset_id=here.pk) == [same.pk]
    assert similar_to(user=user, embedding=direction(0), embedding_id="space-3") == []


def test_only_what_a_person_may_see_looks_similar_and_only_to_what_they_see(user, way):
    Grant.objects.filter(collection=root_collection(), user=None, group=None).delete()
    mine, secret = CollectionFactory(name="Mine"), CollectionFactory(name="Secret")
    Grant.objects.create(collection=mine, user=user, level=Level.VIEW)
    here, hidden, seen = (
        looking(0, collection=mine),
        looking(1, collection=secret),
        looking(2, collection=mine),
    )
    looking(3, collection=mine, trashed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert similar_ids(user=user, asset_id=here.pk) == [seen.pk]
    assert similar_ids(user=user, asset_id=hidden.pk) == []
    assert similar_ids(user=AnonymousUser(), asset_id=here.pk) == []
    found = similar_to(user=user, embedding=direction(0), embedding_id="space-1", exclude=[here.pk])
    assert [pk for pk, _ in found] == [seen.pk]


def test_as_many_as_asked_for_come(user, way):
    here, *others = [looking(degrees) for degrees in range(8)]
    assert similar_ids(user=user, asset_id=here.pk, limit=3) == [other.pk for other in others[:3]]


def test_a_walk_leaves_the_settings_of_the_database_as_they_were(user, monkeypatch):
    monkeypatch.setattr(similar, "FEW", -1)
    here, other = looking(0), looking(10)

    def settings():
        names = ("enable_sort", "hnsw.ef_search", "hnsw.iterative_scan")
        with connection.cursor() as cursor:
            return [cursor.execute(f"SHOW {name}").fetchone() for name in names]

    assert similar_ids(user=user, asset_id=here.pk) == [other.pk]
    before = settings()
    assert before[0] == ("on",)
    monkeypatch.setattr(similar, "EF_SEARCH", 123)
    # In a transaction of the caller's, too: that of this test.
    assert similar_ids(user=user, asset_id=here.pk) == [other.pk]
    assert settings() == before


def test_a_picture_that_no_model_has_looked_at_is_similar_to_none(user, way):
    looking(0)
    bare = AssetFactory()
    Likeness.objects.create(asset=bare, embedding_id="", fingerprint=1)
    assert similar_ids(user=user, asset_id=bare.pk) == []
    assert similar_ids(user=user, asset_id=AssetFactory().pk) == []


def test_a_search_for_similar_pictures_is_in_their_order_page_by_page_and_back(user):
    here = looking(0, filename="here.jpg")
    wanted = [looking(degrees).pk for degrees in (5, 10, 15, 20, 25)]
    query, pages, cursor = f"similar:{here.pk}", [], None
    while True:
        page = search_assets(user=user, query=query, cursor=cursor, limit=2)
        pages.append([asset.pk for asset in page.assets])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == [wanted[:2], wanted[2:4], wanted[4:]]
    back = search_assets(user=user, query=query, cursor=page.previous_cursor, limit=2)
    assert [asset.pk for asset in back.assets] == wanted[2:4]
    first = search_assets(user=user, query=query, cursor=back.previous_cursor, limit=2)
    assert ([asset.pk for asset in first.assets], first.previous_cursor) == (wanted[:2], None)
    by_age = search_assets(user=user, query=query, sort="oldest")
    assert [asset.pk for asset in by_age.assets] == wanted
    reverse = search_assets(user=user, query=f"{query} -here", sort="similar").assets
    assert [asset.pk for asset in reverse] == wanted


def test_a_page_of_similar_pictures_goes_on_where_one_was_that_has_gone(user):
    here = looking(0)
    wanted = [looking(degrees).pk for degrees in (5, 10, 15)]
    query = f"similar:{here.pk}"
    page = search_assets(user=user, query=query, limit=1)
    Asset.objects.filter(pk=wanted[0]).update(trashed_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    rest = search_assets(user=user, query=query, cursor=page.next_cursor)
    assert [asset.pk for asset in rest.assets] == wanted[1:]


def test_neighbours_in_a_search_for_similar_pictures_are_those_in_its_order(user):
    here, second, first = looking(0), looking(20), looking(10)
    beside = neighbours(user=user, query=f"similar:{here.pk}", sort="newest", asset=first)
    assert (beside.previous, beside.next) == (None, second.pk)
