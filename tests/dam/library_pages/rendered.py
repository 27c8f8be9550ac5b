"""What a page shows: its text, and the pictures that it needs."""

from __future__ import annotations

from dam.assets.models import Asset

PLACEHOLDER = "data:image/jpeg;base64,/9j/4AAQ"


def picture_made(asset: Asset) -> Asset:
    """As after the worker's answer: the small and the large picture are there."""
    asset.current_version.renditions = {"grid": {"key": "k"}, "preview": {"key": "k"}}
    asset.current_version.placeholder = PLACEHOLDER
    asset.current_version.save()
    return asset


def text(response) -> str:
    return response.content.decode()
