"""What the asset page says of a file, in words and in the order in which people ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import formats, timezone

from dam.assets.models import Asset
from dam.library.selectors import tagged_by

_TYPES = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WebP",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/avif": "AVIF",
    "image/heic": "HEIC",
    "image/heif": "HEIF",
}
_TRAITS = {"animated": "animated", "has_alpha": "with transparency"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the list; ``title`` is the exact form of a rounded value."""

    label: str
    value: str
    title: str = ""


def facts_of(asset: Asset) -> list[Fact]:
    """The facts of an asset whose version, blob and uploader are loaded."""
    header: dict[str, Any] = asset.current_version.header if asset.current_version else {}
    uploader = (
        asset.uploaded_by.get_full_name() or asset.uploaded_by.get_username() if asset.uploaded_by else ""
    )
    model = tagged_by(asset)
    lines = [
        Fact("File name", asset.filename),
        Fact("Type", type_name(asset)),
        Fact("Size", filesizeformat(asset.size), f"{asset.size:,} bytes"),
        Fact(
            "Dimensions",
            f"{asset.width:,} × {asset.height:,}",
            f"{asset.width * asset.height / 1e6:.1f} megapixels",
        ),
        Fact("Camera", asset.camera),
        Fact("Taken", moment(asset.taken_at)),
        Fact("Place", _place(header)),
        Fact("Uploaded", moment(asset.created_at) + (f" by {uploader}" if uploader else "")),
        Fact("State", {"pending": "being tagged", "tagged": "tagged", "failed": "failed"}[asset.state]),
        Fact("Tagged by", f"{model.name}, version {model.version}" if model else ""),
    ]
    return [line for line in lines if line.value]


def type_name(asset: Asset) -> str:
    """``JPEG, animated``: the kind of file in words."""
    header: dict[str, Any] = asset.current_version.header if asset.current_version else {}
    traits = [word for key, word in _TRAITS.items() if header.get(key)]
    return ", ".join([_TYPES.get(asset.media_type, asset.media_type), *traits])


def _place(header: dict[str, Any]) -> str:
    """Degrees as people write them: ``48.1374° N, 11.5755° E``."""
    latitude, longitude = header.get("latitude"), header.get("longitude")
    if latitude is None or longitude is None:
        return ""
    return (
        f"{abs(latitude):.4f}° {'N' if latitude >= 0 else 'S'}, "
        f"{abs(longitude):.4f}° {'E' if longitude >= 0 else 'W'}"
    )


def moment(value: Any) -> str:
    """3 May 2026, 14:05; nothing for nothing."""
    return formats.date_format(timezone.localtime(value), "j F Y, H:i") if value else ""
