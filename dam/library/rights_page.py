"""Whose terms run out: for those who curate, before it happens."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dam.assets.rights import assets_embargoed, assets_expiring
from dam.assets.tree import curates_anywhere
from dam.library.policy import member, member_page

WITHIN_DAYS = (7, 30, 90, 365)
_DEFAULT = 30
MOST = 200
"""So many of a kind are listed; the search finds the rest."""


@require_safe
@member_page
def expiring(request: HttpRequest) -> HttpResponse:
    """What has expired, what will soon, and what may not be used yet."""
    user, today = member(request), timezone.now().date()
    asked = request.GET.get("within", "")
    within = int(asked) if asked in {str(days) for days in WITHIN_DAYS} else _DEFAULT
    soon = assets_expiring(user=user, within_days=within, today=today, expired=False)
    # What expired before today: the last day of the list is yesterday.
    gone = assets_expiring(user=user, within_days=-1, today=today).order_by("-expires_on", "-pk")
    kinds = (
        ("soon", "Expires soon", soon, "Expires", "rights:expiring"),
        ("gone", "Expired", gone, "Expired after", "rights:expired"),
        (
            "later",
            "Under an embargo",
            assets_embargoed(user=user, today=today),
            "Free on",
            "rights:embargoed",
        ),
    )
    context = {
        "section": "expiring",
        "curates": curates_anywhere(user),
        "within": within,
        "choices": WITHIN_DAYS,
        "until": today + timedelta(days=within),
        "groups": [
            {
                "id": name,
                "title": title,
                "count": rows.count(),
                "rows": [
                    (asset, asset.embargo_until if name == "later" else asset.expires_on)
                    for asset in rows.select_related("current_version__blob", "collection").defer("words")[
                        :MOST
                    ]
                ],
                "when": when,
                "query": query,
            }
            for name, title, rows, when, query in kinds
        ],
        "most": MOST,
    }
    return render(request, "library/rights.html", context)
