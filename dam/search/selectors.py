"""Every search that people see: pages, counts, neighbours, and tags while they type."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, F, Func, Prefetch, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Concat

from dam.assets.models import Asset
from dam.assets.naming import normalise
from dam.assets.selectors import assets_visible_to
from dam.search.compile import compile_query
from dam.search.paging import SORTS, CursorError, cursor_read, cursor_write, edge_of, page_slice
from dam.tagging.models import Claim, Tag

COUNT_BOUND = 10_000
_SUGGESTION_COUNT_BOUND = 1_000
_MAX_SUGGESTION_TEXT = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a search: its assets in order, cursors of the pages beside it, notices for people."""

    assets: list[Asset]
    next_cursor: str | None
    previous_cursor: str | None
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """A number of assets; if not exact, there are more than ``value``."""

    value: int
    exact: bool

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"{self.value:,}+"


@dataclass(frozen=True, slots=True)
class TagSuggestion:
    """A tag that what was typed may become; ``matched`` is the synonym that did, if it was not the name."""

    tag: Tag
    matched: str
    count: Count | None


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

    Raises:
        SearchError: the query cannot be understood.
        CursorError: the cursor is not one of this sort.
        KeyError: no such sort.
    """
    order = SORTS[sort]
    edge = cursor_read(sort, cursor) if cursor else None
    compiled = compile_query(query)
    rows = loaded(assets_visible_to(user).filter(compiled.condition))
    found = page_slice(rows, sort=order, edge=edge, limit=limit)
    return Page(
        assets=found.rows,
        next_cursor=cursor_write(sort, found.next),
        previous_cursor=cursor_write(sort, found.previous),
        notices=compiled.notices,
    )


def count_assets(*, user: User | AnonymousUser, query: str = "", bound: int = COUNT_BOUND) -> Count:
    """How many a search finds, counting no further than ``bound``.

    Raises:
        SearchError: the query cannot be understood.
    """
    return _count(assets_visible_to(user).filter(compile_query(query).condition), bound)


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
    order = SORTS[sort]
    rows = assets_visible_to(user).filter(compile_query(query).condition).only("pk", order.column)
    ids: list[int | None] = []
    for backwards in (True, False):
        edge = edge_of(order, asset, backwards=backwards)
        found = page_slice(rows, sort=order, edge=edge, limit=1).rows
        ids.append(found[0].pk if found else None)
    return Neighbours(previous=ids[0], next=ids[1])


def shown_claims(asset: Asset) -> list[Claim]:
    """The claims that people see as tags, best first, of an asset loaded by this module."""
    return [claim for claim in asset.claims.all() if claim.state != Claim.State.REJECTED]


def rejected_claims(asset: Asset) -> list[Claim]:
    """The tags that people said no to, of an asset loaded by this module."""
    return [claim for claim in asset.claims.all() if claim.state == Claim.State.REJECTED]


def suggest_tags(*, user: User | AnonymousUser, text: str, limit: int = 10) -> list[TagSuggestion]:
    """Tags of which a word begins with the text: exact names first, then names, then synonyms."""
    wanted = normalise(text[:_MAX_SUGGESTION_TEXT])
    if not wanted:
        return []
    # Normalised names hold no %, _ or |, so LIKE takes them literally.
    joined = Func(F("lookup"), Value("|"), function="array_to_string", output_field=TextField())
    tags = list(
        Tag.objects.filter(active=True)
        .annotate(called=Concat(Value("|"), joined, output_field=TextField()))
        .filter(Q(called__contains=f"|{wanted}") | Q(called__contains=f" {wanted}"))
        .order_by()
    )
    ranked = sorted((_rank(tag, wanted), tag.pk, tag) for tag in tags)[:limit]
    visible = assets_visible_to(user)
    return [
        TagSuggestion(
            tag=tag,
            matched=_matched(tag, position),
            count=_count(visible.filter(tag_ids__contains=[tag.pk]), _SUGGESTION_COUNT_BOUND),
        )
        for (_, position, _), _, tag in ranked
    ]


def _rank(tag: Tag, wanted: str) -> tuple[int, int, str]:
    """How well a tag fits (smaller is better), and the place in ``lookup`` of what fitted."""
    best = (6, 0)
    for position, name in enumerate(tag.lookup):
        if name == wanted:
            quality = 0
        elif name.startswith(wanted):
            quality = 2
        elif f" {wanted}" in name:
            quality = 4
        else:
            continue
        best = min(best, (quality + (position > 0), position))
    return (*best, tag.lookup[0])


def _matched(tag: Tag, position: int) -> str:
    if position == 0:
        return ""
    fitting = tag.lookup[position]
    return next((synonym for synonym in tag.synonyms if normalise(synonym)[:100] == fitting), fitting)


def _count(rows: QuerySet[Asset], bound: int) -> Count:
    number = rows.order_by()[: bound + 1].count()
    return Count(value=min(number, bound), exact=number <= bound)


def loaded(rows: QuerySet[Asset]) -> QuerySet[Asset]:
    """With all that a page shows of them, in a fixed number of queries."""
    claims = Claim.objects.select_related("tag").order_by(
        Case(When(state=Claim.State.ACCEPTED, then=0), default=1),
        F("score").desc(nulls_last=True),
        "tag_id",
    )
    return (
        rows.select_related("current_version__blob", "uploaded_by")
        .prefetch_related(Prefetch("claims", claims))
        .defer("words")
    )


__all__ = [
    "COUNT_BOUND",
    "Count",
    "CursorError",
    "Neighbours",
    "Page",
    "TagSuggestion",
    "asset_get",
    "count_assets",
    "loaded",
    "neighbours",
    "rejected_claims",
    "search_assets",
    "shown_claims",
    "suggest_tags",
]
