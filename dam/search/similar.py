"""Pictures that look alike, by the embedding that the model gave: the index of vectors, or all of them.

The index (HNSW) is walked until enough pictures are found that the person may see. Where they may see few, it
would be walked in vain: then the distance to each of those is computed. Embeddings of different models have
nothing to say to each other, so only those of one space are compared.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F, FloatField, QuerySet
from django.db.models.expressions import ExpressionWrapper
from pgvector import HalfVector
from pgvector.django import MaxInnerProduct

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.search.counting import planned_rows
from dam.tagging.models import Likeness

EF_SEARCH = 100
"""Candidates that the index keeps at hand: more find better and take longer (docs/search-speed.md)."""
_MOST_EF_SEARCH = 400
FEW = 20_000
"""So many are compared one by one: as quick as the index, and exact."""


def similar_ids(*, user: Person, asset_id: int, limit: int = 500) -> list[int]:
    """Ids of what looks like an asset, of what the person may see, best first, without the asset itself.

    Empty if they may not see that asset, or no model has looked at it yet.
    """
    return [pk for pk, _ in similar_assets(user=user, asset_id=asset_id, limit=limit)]


def similar_assets(*, user: Person, asset_id: int, limit: int = 60) -> list[tuple[int, float]]:
    """As :func:`similar_ids`, with the similarity of each, the cosine, from -1 to 1."""
    return _similar(user, asset_id, limit)


def exactly_similar(*, user: Person, asset_id: int, limit: int) -> list[tuple[int, float]]:
    """As :func:`similar_assets` by comparing all of them: what the index is measured against."""
    return _similar(user, asset_id, limit, exact=True)


def similar_to(
    *, user: Person, embedding: HalfVector, embedding_id: str, limit: int = 60, exclude: Some[int] = ()
) -> list[tuple[int, float]]:
    """What looks most like the picture with this embedding, of what the person may see.

    Args:
        user: who looks.
        embedding: of unit length, ``[320]``.
        embedding_id: its space; others are not compared with it.
        limit: how many at most.
        exclude: ids of assets to leave out.

    Returns:
        Ids of assets with their similarity, the cosine, from -1 to 1, the most similar first.
    """
    return _nearest(assets_visible_to(user), _Example(embedding, embedding_id), limit=limit, exclude=exclude)


class _Example(NamedTuple):
    embedding: HalfVector
    embedding_id: str


def _similar(user: Person, asset_id: int, limit: int, *, exact: bool = False) -> list[tuple[int, float]]:
    visible = assets_visible_to(user)
    own = (
        Likeness.objects.filter(asset__in=visible.filter(pk=asset_id), embedding__isnull=False)
        .values_list("embedding", "embedding_id")
        .first()
    )
    if own is None:
        return []
    return _nearest(visible, _Example(*own), limit=limit, exclude=(asset_id,), exact=exact)


def _nearest(
    visible: QuerySet[Asset], example: _Example, *, limit: int, exclude: Some[int], exact: bool = False
) -> list[tuple[int, float]]:
    wanted = limit + len(exclude)
    distance = MaxInnerProduct("likeness__embedding", example.embedding)
    rows = visible.filter(likeness__embedding_id=example.embedding_id, likeness__embedding__isnull=False)
    found: list[tuple[int, float]] = []
    if not exact and planned_rows(visible) > FEW:
        found = _by_index(rows.annotate(distance=distance).order_by("distance"), wanted)
    if len(found) < wanted:
        # An expression that the index does not know: everything is compared.
        plain = ExpressionWrapper(distance + 0.0, output_field=FloatField())
        rows = rows.annotate(distance=plain).order_by("distance", "pk")
        found = list(rows.values_list("pk", "distance")[:wanted])
    left_out = set(exclude)
    return [(pk, -distance) for pk, distance in found if pk not in left_out][:limit]


def _by_index(rows: QuerySet[Asset], wanted: int) -> list[tuple[int, float]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('hnsw.ef_search', %s, true), "
            "set_config('hnsw.iterative_scan', 'strict_order', true), "
            # The planner thinks an index of vectors dearer than it is beside sorting a million distances.
            "set_config('enable_sort', 'off', true)",
            [str(max(EF_SEARCH, min(wanted, _MOST_EF_SEARCH)))],
        )
        found = list(rows.values_list("pk", F("distance"))[:wanted])
        # In a transaction of the caller's they would hold on.
        cursor.execute("RESET hnsw.ef_search; RESET hnsw.iterative_scan; RESET enable_sort")
    return found
