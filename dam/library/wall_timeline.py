"""The months beside the wall: how many pictures each has, and the way there."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dam.library.chips import search_address
from dam.library.policy import member, member_page
from dam.library.wall import asked
from dam.search.language import SearchError
from dam.search.timeline import TIMED, timeline_of


@require_safe
@member_page
def timeline(request: HttpRequest) -> HttpResponse:
    """Years and months of a search whose sort follows time, each with the address of its first picture."""
    query, sort = asked(request)
    if sort not in TIMED:
        raise Http404
    try:
        found = timeline_of(user=member(request), query=query, sort=sort)
    except SearchError:
        raise Http404 from None
    most = max((month.count for year in found.years for month in year.months), default=1)
    years = [
        {
            "year": year.year,
            "count": year.count,
            "months": [
                {
                    "start": month.start,
                    "count": month.count,
                    "share": month.count / most,
                    "address": reverse("library")
                    + search_address(query=query, sort=sort, at=f"{month.start:%Y-%m}"),
                }
                for month in year.months
            ],
        }
        for year in found.years
    ]
    context = {"years": years, "estimated": found.estimated, "taken": sort == "taken"}
    return render(request, "library/parts/scrubber.html", context)
