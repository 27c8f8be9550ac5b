"""What the templates need to say things in the project's way."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.auth.models import User
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dam.assets import addresses
from dam.assets.models import Asset
from dam.library import wording
from dam.library.chips import search_address
from dam.search.selectors import shown_claims
from dam.search.terms import tag_term
from dam.tagging.models import Tag

register = template.Library()
register.filter("reason_short", wording.reason_short)
register.filter("reason_long", wording.reason_long)

_NAMES_ON_A_CARD = 6


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """One of our icons, drawn in the colour of the text; readers skip it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        extra,
        static("library/icons.svg"),
        name,
    )


@register.simple_tag
def bar(extra: str, label: str = "", value: float = 0.0) -> SafeString:
    """A bar filled to ``value`` in [0, 1]; without a label the number stands beside it and readers skip it.

    An SVG, because the width of its part is an attribute and needs no inline style.
    """
    said = (
        format_html(
            'role="progressbar" aria-label="{}" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{}"',
            label,
            round(value * 100),
        )
        if label
        else SafeString('aria-hidden="true"')
    )
    return format_html(
        '<svg class="bar {}" viewBox="0 0 100 4" preserveAspectRatio="none" {}>'
        '<rect width="{}" height="4"/></svg>',
        extra,
        said,
        round(value * 100, 1),
    )


@register.filter
def rendition(asset: Asset | None, name: str) -> str | None:
    """Where the picture of that size is; nothing as long as it was not made."""
    return addresses.rendition_url(asset, name) if asset else None


@register.filter
def file_address(asset: Asset) -> str:
    """Where the original is."""
    return addresses.file_url(asset)


@register.filter
def tag_names(asset: Asset) -> str:
    """The best few tags of an asset, for its card."""
    return ", ".join(claim.tag.name for claim in shown_claims(asset)[:_NAMES_ON_A_CARD])


@register.filter
def tag_query(tag: Tag) -> str:
    """Query string of the search for a tag."""
    return search_address(query=tag_term(tag.slug))


@register.filter
def percent(score: float) -> str:
    """0.873 → ``87 %``; what is not certain never reads 100 %."""
    return f"{min(99, max(1, round(score * 100)))} %"


@register.filter
def person(user: User | None) -> str:
    """A person's name; accounts may be gone."""
    return user.get_full_name() or user.get_username() if user else "somebody"


@register.filter
def ago(moment: Any) -> str:
    """``3 minutes ago``."""
    return naturaltime(moment)


@register.filter
def lasting(seconds: float) -> str:
    """95 → ``95 seconds``, 7300 → ``2 hours``: whole numbers of a unit that there are at least two of."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"


@register.filter
def thousands(number: int) -> str:
    """12345 → ``12,345``."""
    return f"{number:,}"
