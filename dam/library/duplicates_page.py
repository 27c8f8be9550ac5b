"""Pictures that look the same, side by side: keep one, or say that they are two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db.models import prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from dam.assets.errors import InvalidChangeError
from dam.assets.models import Asset
from dam.curation.duplicates import Pair, duplicate_count, duplicate_dismiss, duplicate_get, duplicate_pairs
from dam.curation.merging import duplicate_keep
from dam.library.acting import Done, act
from dam.library.facts import moment, type_name
from dam.library.policy import member, member_page
from dam.search.selectors import shown_claims

PAGE_SIZE = 12
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """A fact of both pictures; ``better`` is the side that speaks for keeping it: 1, 2, or 0 for neither."""

    label: str
    first: str
    second: str
    better: int = 0

    @property
    def differs(self) -> bool:
        """Whether it tells them apart."""
        return self.first != self.second


@require_safe
@member_page
def duplicates(request: HttpRequest) -> HttpResponse:
    """Open pairs, the latest found first."""
    user = member(request)
    try:
        page = duplicate_pairs(user=user, cursor=request.GET.get("cursor"), limit=PAGE_SIZE)
    except InvalidChangeError:
        return HttpResponseRedirect(reverse("duplicates"))
    prefetch_related_objects(
        [asset for found in page.pairs for asset in (found.first, found.second)], "collection"
    )
    context = {
        "section": "duplicates",
        "pairs": [(found, compared(found)) for found in page.pairs],
        "count": duplicate_count(user=user, bound=COUNTED),
        "counted": COUNTED,
        "more": "?" + urlencode({"cursor": page.next_cursor}) if page.next_cursor else "",
    }
    return render(request, "library/duplicates.html", context)


@act
def keep(request: HttpRequest, pair_id: int, asset_id: int) -> Done:
    """Keep one, with what was known of the other, which goes to the trash."""
    pair = duplicate_get(user=member(request), pair_id=pair_id)
    if asset_id not in {pair.first_id, pair.second_id}:
        raise Http404
    kept = duplicate_keep(pair=pair, keep_id=asset_id, user=member(request))
    return Done(said=f"“{kept}” is kept; the other is in the trash.")


@act
def dismiss(request: HttpRequest, pair_id: int) -> Done:
    """They are two pictures."""
    duplicate_dismiss(pair=duplicate_get(user=member(request), pair_id=pair_id), user=member(request))
    return Done(said="They are offered to nobody any more.")


def compared(pair: Pair) -> list[Compared]:
    """The facts of both, those first by which one decides."""
    first, second = pair.first, pair.second
    pixels = (first.width * first.height, second.width * second.height)
    known = (_known(first), _known(second))
    return [
        _line("Dimensions", pair, lambda asset: f"{asset.width:,} × {asset.height:,}", pixels),
        _line("Size", pair, lambda asset: filesizeformat(asset.size), (first.size, second.size)),
        _line("Type", pair, type_name),
        _line("Title", pair, lambda asset: asset.title or "none", (bool(first.title), bool(second.title))),
        _line("Tags", pair, _tags, (len(shown_claims(first)), len(shown_claims(second)))),
        _line("Texts filled in", pair, lambda asset: f"{_known(asset)} of 4", known),
        _line("Taken", pair, lambda asset: moment(asset.taken_at) or "unknown", _has(first, second)),
        _line("Uploaded", pair, lambda asset: moment(asset.created_at)),
        _line("Collection", pair, lambda asset: str(asset.collection)),
    ]


def _line(
    label: str, pair: Pair, say: Callable[[Asset], str], weights: tuple[float, float] = (0, 0)
) -> Compared:
    better = 1 if weights[0] > weights[1] else 2 if weights[1] > weights[0] else 0
    return Compared(label, say(pair.first), say(pair.second), better)


def _known(asset: Asset) -> int:
    return sum(map(bool, (asset.description, asset.licence, asset.copyright_holder, asset.credit)))


def _has(first: Asset, second: Asset) -> tuple[float, float]:
    return (first.taken_at is not None, second.taken_at is not None)


def _tags(asset: Asset) -> str:
    names = [claim.tag.name for claim in shown_claims(asset)]
    return (
        ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "none"
    )
