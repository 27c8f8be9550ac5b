"""Assets as JSON, written without the serializer: a page of 60 in milliseconds.

``AssetSerializer`` says the same to OpenAPI; a test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from dam.assets.addresses import RENDITIONS, rendition_stamp
from dam.assets.models import Asset
from dam.assets.rights import mark_of
from dam.search.selectors import rejected_claims, shown_claims
from dam.tagging.models import Claim

Reasons = Mapping[int, Sequence[Mapping[str, str]]]
"""By id of an asset, why a search found it."""

# A number that no asset has: its addresses are the patterns of all others'.
_ANY = 987_654_321_987


def asset_json(asset: Asset) -> dict[str, Any]:
    """One asset, loaded by ``dam.search.selectors.loaded``."""
    return assets_json([asset])[0]


def assets_json(assets: Iterable[Asset], *, matched: Reasons | None = None) -> list[dict[str, Any]]:
    """Assets in their order, loaded by ``dam.search.selectors.loaded``. Asks nothing of the database.

    Args:
        assets: in their order.
        matched: by id, why a search found it.
    """
    reasons, today, addresses = matched or {}, timezone.now().date(), _Addresses()
    return [_body(asset, reasons.get(asset.pk, ()), today, addresses) for asset in assets]


def _body(
    asset: Asset, matched: Sequence[Mapping[str, str]], today: date, addresses: _Addresses
) -> dict[str, Any]:
    version = asset.current_version
    return {
        "id": asset.pk,
        "filename": asset.filename,
        "title": asset.title,
        "description": asset.description,
        "state": asset.state,
        "reason": asset.reason,
        "detail": asset.detail,
        "width": asset.width,
        "height": asset.height,
        "size": asset.size,
        "media_type": asset.media_type,
        "taken_at": _moment(asset.taken_at),
        "camera": asset.camera,
        "created_at": _moment(asset.created_at),
        "updated_at": _moment(asset.updated_at),
        "trashed_at": _moment(asset.trashed_at),
        "collection": {"id": asset.collection_id, "name": asset.collection.name},
        "version": version.number if version else None,
        "orientation": orientation_of(asset),
        "colours": asset.colours,
        "licence": asset.licence,
        "copyright_holder": asset.copyright_holder,
        "credit": asset.credit,
        "release_status": asset.release_status,
        "expires_on": _day(asset.expires_on),
        "embargo_until": _day(asset.embargo_until),
        "mark": mark_of(asset, today),
        "uploaded_by": asset.uploaded_by.get_username() if asset.uploaded_by else None,
        "sha256": version.blob.sha256 if version else None,
        "placeholder": version.placeholder if version else None,
        "urls": addresses.of(asset),
        "tags": _tags(shown_claims(asset)),
        "rejected_tags": _tags(rejected_claims(asset)),
        "matched": list(matched),
    }


def orientation_of(asset: Asset) -> str:
    """As people see it: landscape, portrait or square."""
    if asset.width == asset.height:
        return "square"
    return "landscape" if asset.width > asset.height else "portrait"


def _tags(claims: list[Claim]) -> list[dict[str, Any]]:
    return [
        {
            "slug": tag.slug,
            "name": tag.name,
            "score": claim.score,
            "source": claim.source,
            "state": claim.state,
        }
        for claim in claims
        # Asked for once: Django looks it up each time.
        for tag in (claim.tag,)
    ]


def _moment(moment: datetime | None) -> str | None:
    """As Django REST framework writes it."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


class _Addresses:
    """Addresses by filling in numbers: resolving them costs more than all the rest."""

    def __init__(self) -> None:
        names = {"self": "api-asset", "file": "api-asset-file", "page": "asset"}
        self._plain = {key: _pattern(reverse(name, args=[_ANY])) for key, name in names.items()}
        self._renditions = {
            name: _pattern(reverse("api-rendition", kwargs={"asset_id": _ANY, "name": name}))
            for name in RENDITIONS
        }

    def of(self, asset: Asset) -> dict[str, str | None]:
        """Paths on this server."""
        number = str(asset.pk)
        found: dict[str, str | None] = {
            key: f"{before}{number}{after}" for key, (before, after) in self._plain.items()
        }
        version = asset.current_version
        for name, (before, after) in self._renditions.items():
            made = version is not None and name in version.renditions
            stamp = rendition_stamp(version) if version and made else ""
            found[name] = f"{before}{number}{after}?v={stamp}" if made else None
        return found


def _pattern(address: str) -> tuple[str, str]:
    before, _, after = address.partition(str(_ANY))
    return before, after
