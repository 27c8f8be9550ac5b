"""What the templates ask about order and rights: who curates, what a date means, which levels there are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser, User

from dam.assets.models import Asset, Level
from dam.assets.selectors import is_usable
from dam.assets.tree import curates_anywhere

register = template.Library()


@register.simple_tag
def curates(user: User | AnonymousUser) -> bool:
    """Whether a person curates anywhere: then the rail shows them rights and trash."""
    return curates_anywhere(user)


@register.filter
def usable(asset: Asset) -> bool:
    """Whether an asset is neither expired nor under an embargo today."""
    return is_usable(asset)


@register.filter
def level_name(level: int) -> str:
    """3 → ``contribute``."""
    return str(Level(level).label)


@register.filter
def at_least(level: int | None, name: str) -> bool:
    """Whether a right includes another: ``node.level|at_least:"manage"``."""
    return level is not None and level >= Level[name.upper()]


@register.filter
def day(value: date | None) -> str:
    """3 May 2026; nothing for nothing."""
    return f"{value.day} {value:%B} {value.year}" if value else ""


@register.filter
def of(found: Mapping[Any, Any], key: Any) -> Any:
    """What a mapping holds under a key that the template knows; None: nothing."""
    return found.get(key)


@register.filter
def times(number: int) -> range:
    """So many turns of a loop."""
    return range(number)
