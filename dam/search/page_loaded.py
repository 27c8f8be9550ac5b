"""A page of assets with all that people see of them: three statements, and no more work than that.

Django writes a statement of sixty columns anew each time, makes an object of each joined row, sets its fields
one by one, and makes a query set for the claims of each asset; for a page that takes longer than finding it.
Here a list of columns is written once, objects get their fields at once, a collection or a person is one
object, and what no page shows is read when it is asked for (Django's deferred fields).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Case, F, Model, QuerySet, When
from django.db.models.base import ModelState

from dam.assets.models import Asset, AssetVersion, Blob, Collection
from dam.tagging.models import Claim, Tag

M = TypeVar("M", bound=Model)

BEST_FIRST = (
    Case(When(state=Claim.State.ACCEPTED, then=0), default=1),
    F("score").desc(nulls_last=True),
    "tag_id",
)

_ASSET = tuple(field.attname for field in Asset._meta.concrete_fields if field.name != "words")  # noqa: SLF001 - the way to ask
_VERSION = ("id", "asset_id", "number", "blob_id", "filename", "placeholder", "renditions")
_RENDITIONS = _VERSION.index("renditions")
_BLOB = ("id", "sha256", "size", "media_type", "key")
_COLLECTION = ("id", "name")
_PERSON = ("id", "username", "first_name", "last_name")
_JOINED = (
    *_ASSET,
    *(f"current_version__{name}" for name in _VERSION),
    *(f"current_version__blob__{name}" for name in _BLOB),
    *(f"collection__{name}" for name in _COLLECTION),
    *(f"uploaded_by__{name}" for name in _PERSON),
)
_CLAIM = ("id", "asset_id", "tag_id", "state", "source", "score")
_TAG = ("id", "slug", "name", "lookup", "ancestor_ids")
# What query sets that have their rows already are made with; who goes on from one of them gets a copy.
_ALL_CLAIMS = Claim.objects.all().query


def assets_loaded(rows: QuerySet[Asset]) -> list[Asset]:
    """These assets in no order; what a page shows of them asks nothing more of the database.

    Args:
        rows: with conditions on the table of assets alone.
    """
    collections: dict[int, Collection] = {}
    people: dict[int, User] = {}
    assets = [_asset(values, collections, people) for values in _read(_JOINED, rows)]
    _claims_load(assets)
    return assets


def claims_of(asset: Asset) -> Sequence[Claim]:
    """The claims of an asset that was loaded with them, best first: for a page hundreds of times as quick."""
    loaded: Sequence[Claim] = asset._prefetched_objects_cache["claims"]  # type: ignore[attr-defined]  # noqa: SLF001 - where Django keeps them
    return loaded


@cache
def _written(
    model: type[Model], names: tuple[str, ...], order: tuple[Any, ...]
) -> tuple[str, str, tuple[Any, ...]]:
    """What reads these columns of all rows: up to the order, the order, and the parameters of that."""
    rows = model._default_manager.order_by(*order).values_list(*names)  # noqa: SLF001 - its public name
    statement, parameters = rows.query.sql_with_params()
    beginning, by, columns = statement.partition(" ORDER BY ")
    return beginning, by + columns, parameters


def _read(names: tuple[str, ...], rows: QuerySet[Any], order: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """As ``rows.order_by(*order).values_list(*names)`` without conversions: JSON is text."""
    query = rows.query
    try:
        where, parameters = query.get_compiler(connection=connection).compile(query.where)
    except EmptyResultSet:
        return []
    model: Any = rows.model
    beginning, by, of_order = _written(model, names, order)
    with connection.cursor() as cursor:
        cursor.execute(f"{beginning} WHERE {where}{by}", (*parameters, *of_order))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _asset(values: tuple[Any, ...], collections: dict[int, Collection], people: dict[int, User]) -> Asset:
    parts, place = [], 0
    for names in (_ASSET, _VERSION, _BLOB, _COLLECTION, _PERSON):
        parts.append(values[place : place + len(names)])
        place += len(names)
    own, of_version, of_blob, of_collection, of_person = parts
    version = None
    if of_version[0] is not None:
        version = _made(AssetVersion, _VERSION, of_version, blob=_made(Blob, _BLOB, of_blob))
        version.renditions = json.loads(of_version[_RENDITIONS])
    collection = collections.get(of_collection[0])
    if collection is None:
        collection = collections[of_collection[0]] = _made(Collection, _COLLECTION, of_collection)
    person = people.get(of_person[0]) if of_person[0] is not None else None
    if person is None and of_person[0] is not None:
        person = people[of_person[0]] = _made(User, _PERSON, of_person)
    return _made(Asset, _ASSET, own, current_version=version, collection=collection, uploaded_by=person)


def _claims_load(assets: Sequence[Asset]) -> None:
    """Let ``asset.claims.all()`` and the tag of each claim ask nothing more of the database."""
    claims: dict[int, list[Claim]] = {asset.pk: [] for asset in assets}
    rows = _read(_CLAIM, Claim.objects.filter(asset__any_of=claims), BEST_FIRST)
    named = Tag.objects.filter(pk__any_of={row[2] for row in rows})
    tags = {row[0]: _made(Tag, _TAG, row) for row in _read(_TAG, named)}
    for row in rows:
        claims[row[1]].append(_made(Claim, _CLAIM, row, tag=tags[row[2]]))
    for asset in assets:
        _prefetched(asset, claims[asset.pk])


def _made(model: type[M], names: tuple[str, ...], values: Sequence[Any], **related: Any) -> M:
    """An object as it is read from the database, with these fields and related objects."""
    made = model.__new__(model)
    state = ModelState()
    state.db, state.adding, state.fields_cache = DEFAULT_DB_ALIAS, False, related
    made.__dict__.update(zip(names, values, strict=True), _state=state)
    return made


def _prefetched(asset: Asset, claims: list[Claim]) -> None:
    found: QuerySet[Claim] = QuerySet(Claim, query=_ALL_CLAIMS)
    found._result_cache = claims  # noqa: SLF001 - what Django's own prefetching sets
    found._prefetch_done = True  # type: ignore[attr-defined]  # noqa: SLF001 - no part of the stubs
    asset.__dict__["_prefetched_objects_cache"] = {"claims": found}
