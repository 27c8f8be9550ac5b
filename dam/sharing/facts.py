"""What a link tells of its pictures, as far as its maker chose it."""

from __future__ import annotations

from typing import NamedTuple

from dam.assets.models import Asset
from dam.search.selectors import shown_claims

FIELDS: dict[str, str] = {
    "title": "Title",
    "description": "Description",
    "filename": "File name",
    "taken": "Taken",
    "camera": "Camera",
    "dimensions": "Size",
    "tags": "Tags",
    "credit": "Credit",
    "licence": "Licence",
}
"""What can be chosen, with its name for people."""

_MOST_TAGS = 12


class Fact(NamedTuple):
    """One of them."""

    label: str
    value: str


def facts_of(asset: Asset, fields: list[str]) -> list[Fact]:
    """The chosen facts that have a value; title and description are no part of them, and stand above."""
    known = {
        "filename": asset.filename,
        "taken": f"{asset.taken_at:%-d %B %Y}" if asset.taken_at else "",
        "camera": asset.camera,
        "dimensions": f"{asset.width} × {asset.height}",
        "tags": _tags(asset) if "tags" in fields else "",
        "credit": _credit(asset),
        "licence": asset.licence,
    }
    return [Fact(FIELDS[name], value) for name, value in known.items() if name in fields and value]


def title_of(asset: Asset, fields: list[str]) -> str:
    """What the picture is called there; empty if nothing may be said."""
    if "title" in fields and asset.title:
        return asset.title
    return asset.filename if "filename" in fields else ""


def download_name(asset: Asset, fields: list[str]) -> str:
    """The name of its file: its own if that may be known."""
    return asset.filename if "filename" in fields else f"picture-{asset.pk}"


def _tags(asset: Asset) -> str:
    return ", ".join(claim.tag.name for claim in shown_claims(asset)[:_MOST_TAGS])


def _credit(asset: Asset) -> str:
    holder = f"© {asset.copyright_holder}" if asset.copyright_holder else ""
    return ", ".join(part for part in (asset.credit, holder) if part)
