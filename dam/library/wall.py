"""What the wall shows of a search beside its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from django.http import HttpRequest

from dam.assets.models import Asset
from dam.library.chips import search_address
from dam.search.compile import Reading
from dam.search.paging import SORTS
from dam.search.reasons import Reason, reasons_for
from dam.search.terms import terms_of
from dam.search.timeline import TIMED, cursor_at

PAGE_SIZE = 60
_MONTH = re.compile(r"([12]\d{3})-(0[1-9]|1[0-2])")
_KINDS = {"tag": "tag", "title": "title", "description": "description", "filename": "file name"}


@dataclass(frozen=True, slots=True)
class SortChoice:
    """An entry of the menu of orders."""

    label: str
    address: str
    current: bool


def asked(request: HttpRequest) -> tuple[str, str]:
    """The query and the sort that an address carries; an unknown sort is the default one."""
    sort = request.GET.get("sort", "")
    return request.GET.get("q", "").strip(), sort if sort in SORTS else "newest"


def context_of(query: str, sort: str) -> str:
    """What addresses of assets carry of the search that they were found by; empty without one."""
    address = search_address(query=query, sort=sort)
    return "" if address == "?" else address


def month_of(text: str) -> date | None:
    """The month that ``2024-05`` names; None for anything else."""
    found = _MONTH.fullmatch(text)
    return date(int(found[1]), int(found[2]), 1) if found else None


def cursor_asked(request: HttpRequest, sort: str) -> str | None:
    """Where the page begins: after a cursor, or ``at`` a month if the sort follows time; None: at the top."""
    month = month_of(request.GET.get("at", ""))
    if "cursor" in request.GET or month is None or sort not in TIMED:
        return request.GET.get("cursor")
    return cursor_at(sort=sort, month=month)


def by_likeness(query: str, sort: str) -> bool:
    """Whether the most similar pictures come first: with ``similar:``, unless another sort is asked for.

    Raises:
        SearchError: the query cannot be understood.
    """
    return sort == "newest" and any(
        term.text.startswith("similar:") and not term.negated for term in terms_of(query)
    )


def sort_choices(query: str, sort: str) -> list[SortChoice]:
    """The orders that people may choose for a search, the one in force marked.

    Raises:
        SearchError: the query cannot be understood.
    """
    # What is the newest first of any other search is the most similar first of one by likeness.
    default = "Most similar first" if by_likeness(query, "newest") else SORTS["newest"].label
    return [
        SortChoice(
            default if name == "newest" else item.label,
            search_address(query=query, sort=name),
            current=name == sort,
        )
        for name, item in SORTS.items()
    ]


def with_reasons(assets: Iterable[Asset], *, reading: Reading | None) -> list[Asset]:
    """The same assets, each with ``matched``: why the query found it, in words."""
    found = list(assets)
    reasons = reasons_for(reading=reading, assets=found)
    for asset in found:
        asset.matched = [reason_text(reason) for reason in reasons.get(asset.pk, ())]  # type: ignore[attr-defined]  # for templates
    return found


def reason_text(reason: Reason) -> str:
    """``tag tabby (tabby is an animal)``, ``file name walk.jpg``; what answers to a filter says it itself."""
    said = f"{_KINDS[reason.kind]} {reason.text}" if reason.kind in _KINDS else reason.text
    return f"{said} ({reason.via})" if reason.via else said
