"""The claims of a page of assets, with their tags: two statements, and no more work than that.

Django's prefetching makes a query set for each asset and sets each claim's fields one by one, which takes
longer than finding the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Case, F, QuerySet, When
from django.db.models.base import ModelState

from dam.assets.models import Asset
from dam.tagging.models import Claim, Tag

BEST_FIRST = (
    Case(When(state=Claim.State.ACCEPTED, then=0), default=1),
    F("score").desc(nulls_last=True),
    "tag_id",
)
_COLUMNS = tuple(field.attname for field in Claim._meta.concrete_fields)  # noqa: SLF001 - the way to ask


def claims_load(assets: Sequence[Asset]) -> None:
    """Let ``asset.claims.all()`` and the tag of each claim ask nothing more of the database."""
    claims: dict[int, list[Claim]] = {asset.pk: [] for asset in assets}
    rows = list(Claim.objects.filter(asset__in=claims).order_by(*BEST_FIRST).values_list(*_COLUMNS))
    tag_column, asset_column = _COLUMNS.index("tag_id"), _COLUMNS.index("asset_id")
    tags = {tag.pk: tag for tag in Tag.objects.filter(pk__in={row[tag_column] for row in rows}).order_by()}
    for row in rows:
        claims[row[asset_column]].append(_claim(row, tags[row[tag_column]]))
    for asset in assets:
        _prefetched(asset, claims[asset.pk])


def _claim(values: tuple[Any, ...], tag: Tag) -> Claim:
    """A claim as it is read from the database: hundreds of them stand on a page."""
    claim = Claim.__new__(Claim)
    state = ModelState()
    state.db, state.adding = DEFAULT_DB_ALIAS, False
    state.fields_cache = {"tag": tag}
    claim.__dict__.update(zip(_COLUMNS, values, strict=True), _state=state)
    return claim


def _prefetched(asset: Asset, claims: list[Claim]) -> None:
    found: QuerySet[Claim] = QuerySet(Claim)
    found._result_cache = claims  # noqa: SLF001 - what Django's own prefetching sets
    found._prefetch_done = True  # type: ignore[attr-defined]  # noqa: SLF001 - no part of the stubs
    cache = asset.__dict__.setdefault("_prefetched_objects_cache", {})
    cache["claims"] = found
