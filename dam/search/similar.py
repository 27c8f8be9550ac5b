"""Pictures that look alike, by the embedding that the model gave: the index of vectors, or all of them.

The index (HNSW) is walked until enough pictures are found that the person may see. Where they may see few, it
would be walked in vain: then the distance to each of those is computed. Embeddings of different models have
nothing to say to each other, so only those of one space are compared.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from typing import NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import FloatField, QuerySet
from django.db.models.expressions import ExpressionWrapper
from pgvector import HalfVector
from pgvector.django import MaxInnerProduct

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.search.counting import planned_rows
from dam.tagging.models import Likeness, Tag

EF_SEARCH = 400
"""Candidates that the index keeps at hand: more find better and take longer (docs/search-speed.md)."""
WIDEST_EF_SEARCH = 1_000
"""For a picture that the usual walk passes by; pgvector knows no more."""
FEW = 20_000
"""So many are compared one by one: as quick as the index, and exact."""


def similar_ids(*, user: Person, asset_id: int, limit: int = 500) -> list[int]:
    """Ids of what looks like an asset, of what the person may see, best first, without the asset itself.

    Empty if they may not see that asset, or no model has looked at it yet.
    """
    return [pk for pk, _ in similar_among(assets_visible_to(user), asset_id=asset_id, limit=limit)]


def similar_among(visible: QuerySet[Asset], *, asset_id: int, limit: int) -> list[tuple[int, float]]:
    """As :func:`similar_ids` of what somebody may see, with the cosine of each, from -1 to 1."""
    return _similar(visible, asset_id, limit)


def exactly_similar(*, user: Person, asset_id: int, limit: int) -> list[tuple[int, float]]:
    """As :func:`similar_among` by comparing all of them: what the index is measured against."""
    return _similar(assets_visible_to(user), asset_id, limit, exact=True)


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
    example = _Example(embedding, embedding_id)
    left_out = set(exclude)
    found = _nearest(assets_visible_to(user), example, limit=limit + len(left_out))
    return [(pk, similarity) for pk, similarity in found if pk not in left_out][:limit]


class _Example(NamedTuple):
    embedding: HalfVector
    embedding_id: str


def _similar(
    visible: QuerySet[Asset], asset_id: int, limit: int, *, exact: bool = False
) -> list[tuple[int, float]]:
    own = (
        Likeness.objects.filter(asset__in=visible.filter(pk=asset_id), embedding__isnull=False)
        .values_list("embedding", "embedding_id")
        .first()
    )
    if own is None:
        return []
    example = _Example(*own)
    found = dict(
        _compared(visible, example, limit + 1) if exact else _nearest(visible, example, limit=limit + 1)
    )
    if asset_id not in found:
        # Nothing is as similar as the picture itself: the walk never came to where it lies.
        found |= dict(_by_index(visible, example, limit + 1, ef_search=WIDEST_EF_SEARCH))
    if asset_id not in found:
        found |= _compared(_tagged_alike(visible, asset_id), example, limit + 1)
    found.pop(asset_id, None)
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:limit]


def _tagged_alike(visible: QuerySet[Asset], asset_id: int) -> QuerySet[Asset]:
    """What has the asset's rarest tag, as far as PostgreSQL knows; all, if none is rare."""
    ids = Asset.objects.values_list("tag_ids", flat=True).get(pk=asset_id)
    tags = Tag.objects.filter(pk__in=ids, kind__in=[Tag.Kind.LEAF, Tag.Kind.OWN]).values_list("pk", flat=True)
    sizes = [(planned_rows(Asset.objects.filter(tag_ids__contains=[pk])), pk) for pk in tags]
    if not sizes or min(sizes)[0] > FEW:
        return visible
    return visible.filter(tag_ids__contains=[min(sizes)[1]])


def _nearest(visible: QuerySet[Asset], example: _Example, *, limit: int) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    if planned_rows(visible) > FEW:
        found = _by_index(visible, example, limit, ef_search=EF_SEARCH)
    return found if len(found) == limit else _compared(visible, example, limit)


def _of_space(rows: QuerySet[Asset], example: _Example) -> QuerySet[Asset]:
    return rows.filter(likeness__embedding_id=example.embedding_id, likeness__embedding__isnull=False)


def _compared(rows: QuerySet[Asset], example: _Example, limit: int) -> list[tuple[int, float]]:
    """All of them, one by one: by an expression that the index does not know."""
    distance = MaxInnerProduct("likeness__embedding", example.embedding)
    plain = ExpressionWrapper(distance + 0.0, output_field=FloatField())
    rows = _of_space(rows, example).annotate(distance=plain).order_by("distance", "pk")
    return [(pk, -distance) for pk, distance in rows.values_list("pk", "distance")[:limit]]


def _by_index(
    rows: QuerySet[Asset], example: _Example, limit: int, *, ef_search: int
) -> list[tuple[int, float]]:
    distance = MaxInnerProduct("likeness__embedding", example.embedding)
    rows = _of_space(rows, example).annotate(distance=distance).order_by("distance")
    try:
        statement, parameters = rows.values_list("pk", "distance")[:limit].query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_WALK.format(statement), [str(ef_search), *parameters])
        cursor.nextset()
        return [(pk, -distance) for pk, distance in cursor.fetchall()]


# Sent as one, they are one transaction, and one way to the server and back. The planner thinks an index of
# vectors dearer than it is beside sorting a million distances. In a caller's transaction settings hold on.
_WALK = """
SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true),
    set_config('enable_sort', 'off', true);
{};
RESET hnsw.ef_search; RESET hnsw.iterative_scan; RESET enable_sort
"""
