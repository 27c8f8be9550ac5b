"""Addresses of a picture's files. The names stand in ``dam.api.urls``; every part may show pictures."""

from __future__ import annotations

from django.urls import reverse

from dam.assets.models import Asset, AssetVersion

RENDITIONS = ("grid", "preview")


def file_url(asset: Asset) -> str:
    """Where the original is downloaded."""
    return reverse("api-asset-file", args=[asset.pk])


def rendition_url(asset: Asset, name: str) -> str | None:
    """Where a rendition is shown; None until a worker has made it.

    The address changes with the file, so browsers may keep what they got under it for ever. Costs a
    query unless ``current_version__blob`` was loaded with the asset.
    """
    version = asset.current_version
    if version is None or name not in version.renditions:
        return None
    address = reverse("api-rendition", kwargs={"asset_id": asset.pk, "name": name})
    return f"{address}?v={rendition_stamp(version)}"


def rendition_stamp(version: AssetVersion) -> str:
    """What tells one file's renditions from another's."""
    return version.blob.sha256[:16]
