"""What the cards of the wall say of a picture."""

from __future__ import annotations

from django import template

from dam.assets import rights
from dam.assets.models import Asset

register = template.Library()


@register.filter
def mark(asset: Asset) -> str:
    """``expired`` or ``embargoed``; empty for what may be used."""
    return rights.mark_of(asset)


@register.filter
def media_kind(media_type: str) -> str:
    """``image/jpeg`` → ``JPEG``."""
    return media_type.partition("/")[2].partition("+")[0].upper()
