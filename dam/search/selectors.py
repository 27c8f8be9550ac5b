"""Every search that people see: pages, counts and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Prefetch, QuerySet

from dam.assets.models import Asset
from dam.assets.selectors import assets_visible_to
from dam.search.compile import Reading, compile_query
from dam.search.counting import Count
from dam.search.page_loaded import BEST_FIRST, assets_loaded, claims_of
from dam.search.paging import SORTS, CursorError, Edge, Slice, cursor_read, cursor_write, edge_of
from dam.search.ranking import ranked_slice
from dam.search.sampling import EXACT_UP_TO, count_of
from dam.search.similar import similar_among
from dam.search.walking import Wanted, assets_slice
from dam.tagging.models import Claim, Tag

COUNT_BOUND = EXACT_UP_TO
DEFAULT_SORT, SIMILAR = "newest", "similar"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: its assets in order, cursors of the pages beside it, notices for people.

    ``reading`` is what the query was found to mean, for the reasons why it found them.
    """

    assets: list[Asset]
    next_cursor: str | None
    previous_cursor: str | None
    notices: tuple[str, ...]
    reading: Reading | None


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Ids of the assets before and after one in a search."""

    previous: int | None
    next: int | None


def search_assets(
    *,
    user: User | AnonymousUser,
    query: str = "",
    sort: str = "newest",
    cursor: str | None = None,
    limit: int = 60,
) -> Page:
    """One page of what the user may see and the query finds, with files and claims loaded.

    What looks like a picture (``similar:``) comes in the order of its likeness, unless another sort than the
    default is asked for. For other queries, ``similar`` is the default sort.

    Raises:
        SearchError: the query cannot be understood.
        CursorError: the cursor is not one of this sort.
        KeyError: no such sort.
    """
    compiled = compile_query(query, user=user)
    visible = assets_visible_to(user)
    found: Slice[Asset]
    if compiled.ranked is not None and sort in {SIMILAR, DEFAULT_SORT}:
        name = SIMILAR
        edge = cursor_read(name, cursor) if cursor else None
        rows = visible.filter(compiled.condition)
        found = ranked_slice(rows, ranked=compiled.ranked, edge=edge, limit=limit)
    else:
        name = DEFAULT_SORT if sort == SIMILAR else sort
        order = SORTS[name]
        edge = cursor_read(name, cursor) if cursor else None
        wanted = Wanted(visible, compiled.condition, compiled.taken)
        found = assets_slice(wanted, sort=order, edge=edge, limit=limit)
    return Page(
        assets=_in_order(visible, [asset.pk for asset in found.rows]),
        next_cursor=cursor_write(name, found.next),
        previous_cursor=cursor_write(name, found.previous),
        notices=compiled.notices,
        reading=compiled.reading,
    )


def assets_by_id(*, user: User | AnonymousUser, ids: Sequence[int]) -> list[Asset]:
    """Those of the assets that the user may see, in the order of ``ids``, with files and claims loaded."""
    return _in_order(assets_visible_to(user), ids)


def similar_assets(
    *, user: User | AnonymousUser, asset_id: int, limit: int = 60
) -> list[tuple[Asset, float]]:
    """What looks most like an asset, of what the person may see, with files and claims loaded; best first.

    Returns:
        Each with its similarity, the cosine, from -1 to 1; none if no model has looked at the asset yet.

    Raises:
        Asset.DoesNotExist: there is none, or the person may not see it.
    """
    visible = assets_visible_to(user)
    similarity = dict(similar_among(visible, asset_id=asset_id, limit=limit))
    if not similarity and not visible.filter(pk=asset_id).exists():
        raise Asset.DoesNotExist
    return [(asset, similarity[asset.pk]) for asset in _in_order(visible, list(similarity))]


def _in_order(visible: QuerySet[Asset], ids: Sequence[int]) -> list[Asset]:
    """The assets of these ids; who lost the right to one of them since they were found does not see it."""
    if not ids:
        return []
    by_id = {asset.pk: asset for asset in assets_loaded(visible.filter(pk__any_of=ids))}
    return [by_id[pk] for pk in ids if pk in by_id]


def count_assets(*, user: User | AnonymousUser, query: str = "", bound: int = COUNT_BOUND) -> Count:
    """How many a search finds: exact up to ``bound``, an estimate above it.

    With a bound of its own, nobody estimates: it says that there are more.

    Raises:
        SearchError: the query cannot be understood.
    """
    return count_of(assets_visible_to(user).filter(compile_query(query, user=user).condition), bound=bound)


def asset_get(*, user: User | AnonymousUser, asset_id: int) -> Asset:
    """One asset with file and claims loaded.

    Raises:
        Asset.DoesNotExist: there is none, or the user may not see it.
    """
    return loaded(assets_visible_to(user)).get(pk=asset_id)


def neighbours(*, user: User | AnonymousUser, query: str, sort: str, asset: Asset) -> Neighbours:
    """The assets beside one in a search, whether or not the search finds that one itself.

    Raises:
        SearchError: the query cannot be understood.
        KeyError: no such sort.
    """
    compiled = compile_query(query, user=user)
    wanted = Wanted(assets_visible_to(user), compiled.condition, compiled.taken)
    ids: list[int | None] = []
    for backwards in (True, False):
        if compiled.ranked is not None and sort in {SIMILAR, DEFAULT_SORT}:
            edge = Edge(key=None, pk=asset.pk, backwards=backwards)
            found = ranked_slice(wanted.rows, ranked=compiled.ranked, edge=edge, limit=1).rows
        else:
            order = SORTS[DEFAULT_SORT if sort == SIMILAR else sort]
            edge = edge_of(order, asset, backwards=backwards)
            found = assets_slice(wanted, sort=order, edge=edge, limit=1).rows
        ids.append(found[0].pk if found else None)
    return Neighbours(previous=ids[0], next=ids[1])


def shown_claims(asset: Asset) -> list[Claim]:
    """The claims that people see as tags, best first, of an asset loaded by this module."""
    return [claim for claim in claims_of(asset) if claim.state != Claim.State.REJECTED]


def rejected_claims(asset: Asset) -> list[Claim]:
    """The tags that people said no to, of an asset loaded by this module."""
    return [claim for claim in claims_of(asset) if claim.state == Claim.State.REJECTED]


def loaded(rows: QuerySet[Asset]) -> QuerySet[Asset]:
    """With all that a page shows of them, in a fixed number of queries."""
    # Hundreds of claims share some tags: those are loaded once.
    return _with_files(rows).prefetch_related(
        Prefetch("claims", Claim.objects.order_by(*BEST_FIRST)),
        Prefetch("claims__tag", Tag.objects.order_by()),
    )


def _with_files(rows: QuerySet[Asset]) -> QuerySet[Asset]:
    return rows.select_related("collection", "current_version__blob", "uploaded_by").defer("words")


__all__ = [
    "COUNT_BOUND",
    "SIMILAR",
    "Count",
    "CursorError",
    "Neighbours",
    "Page",
    "asset_get",
    "assets_by_id",
    "count_assets",
    "loaded",
    "neighbours",
    "rejected_claims",
    "search_assets",
    "shown_claims",
    "similar_assets",
]
