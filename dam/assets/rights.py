"""Under which terms a picture may be used, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Literal

from django.db.models import F, QuerySet
from django.utils import timezone

from dam.assets.models import Asset, Level
from dam.assets.selectors import Person, assets_visible_to

Mark = Literal["", "expired", "embargoed"]

LICENCES: Mapping[str, str] = {
    "CC0-1.0": "CC0 1.0 (no rights reserved)",
    "CC-BY-4.0": "Creative Commons Attribution 4.0",
    "CC-BY-SA-4.0": "Creative Commons Attribution-ShareAlike 4.0",
    "CC-BY-ND-4.0": "Creative Commons Attribution-NoDerivatives 4.0",
    "CC-BY-NC-4.0": "Creative Commons Attribution-NonCommercial 4.0",
    "CC-BY-NC-SA-4.0": "Creative Commons Attribution-NonCommercial-ShareAlike 4.0",
    "CC-BY-NC-ND-4.0": "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0",
    "CC-BY-3.0": "Creative Commons Attribution 3.0",
    "CC-BY-SA-3.0": "Creative Commons Attribution-ShareAlike 3.0",
    "CC-BY-2.0": "Creative Commons Attribution 2.0",
    "CC-BY-SA-2.0": "Creative Commons Attribution-ShareAlike 2.0",
    "CC-PDDC": "Creative Commons Public Domain Dedication and Certification",
    "PDDL-1.0": "Open Data Commons Public Domain Dedication 1.0",
    "ODbL-1.0": "Open Data Commons Open Database Licence 1.0",
    "ODC-By-1.0": "Open Data Commons Attribution 1.0",
    "OGL-UK-3.0": "Open Government Licence v3.0 (United Kingdom)",
    "etalab-2.0": "Licence Ouverte 2.0 (France)",
    "DL-DE-BY-2.0": "Data licence Germany, attribution, 2.0",
    "DL-DE-ZERO-2.0": "Data licence Germany, zero, 2.0",
    "GFDL-1.3-or-later": "GNU Free Documentation Licence 1.3 or later",
    "FAL-1.3": "Free Art Licence 1.3",
    "LicenseRef-public-domain": "Public domain",
    "LicenseRef-all-rights-reserved": "All rights reserved",
    "LicenseRef-rights-managed": "Rights managed",
    "LicenseRef-royalty-free": "Royalty free",
    "LicenseRef-editorial-use": "Editorial use only",
    "LicenseRef-internal-use": "Internal use only",
}
"""Identifiers that are offered, with their names: SPDX's, and its ``LicenseRef-`` form for the rest."""


def licence_name(licence: str) -> str:
    """What people read for a licence: its name if we know it, else what was written."""
    return LICENCES.get(licence, licence)


def mark_of(asset: Asset, today: date | None = None) -> Mark:
    """Why a picture may not be used today; empty: it may.

    One that is over is over, whatever embargo it has.
    """
    day = today or timezone.now().date()
    if asset.expires_on is not None and asset.expires_on < day:
        return "expired"
    if asset.embargo_until is not None and asset.embargo_until > day:
        return "embargoed"
    return ""


def assets_expiring(
    *, user: Person, within_days: int = 30, today: date | None = None, expired: bool = True
) -> QuerySet[Asset]:
    """What expires soon where a person curates, the soonest first.

    Args:
        user: who asks.
        within_days: how soon; 0: today is the last day.
        today: the day to count from; None: this one, in UTC.
        expired: with what has expired already, before the rest.
    """
    day = today or timezone.now().date()
    found = assets_visible_to(user, Level.CURATE).filter(expires_on__lte=day + timedelta(days=within_days))
    if not expired:
        found = found.filter(expires_on__gte=day)
    return found.order_by("expires_on", "pk")


def assets_embargoed(*, user: Person, today: date | None = None) -> QuerySet[Asset]:
    """What may not be used yet where a person curates, the soonest free first."""
    day = today or timezone.now().date()
    found = assets_visible_to(user, Level.CURATE).filter(embargo_until__gt=day)
    return found.order_by(F("embargo_until"), "pk")
