"""The plot of an interval, for the page *Models*."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dam.library import figures
from dam.rollout.intervals import Interval

register = template.Library()


@register.simple_tag
def interval_plot(interval: Interval, scale: float, limit: float | None = None) -> SafeString:
    """An interval round its zero line, from ``-scale`` to ``+scale``.

    The numbers stand beside, so readers skip it. ``limit`` is the loss from which on promotion is refused,
    as a broken line.
    """

    def at(value: float) -> str:
        return f"{50 + 50 * max(-1.0, min(1.0, value / scale)):.1f}%"

    mark = (
        format_html('<line class="plot-limit" x1="{0}" x2="{0}" y1="1" y2="17"/>', at(-limit))
        if limit is not None and limit < scale
        else ""
    )
    return format_html(
        '<svg class="plot plot-{}" aria-hidden="true">'
        '<line class="plot-zero" x1="50%" x2="50%" y1="1" y2="17"/>{}'
        '<line class="plot-range" x1="{}" x2="{}" y1="9" y2="9"/><circle cx="{}" cy="9" r="3.5"/></svg>',
        figures.verdict(interval),
        mark,
        at(interval.low),
        at(interval.high),
        at(interval.estimate),
    )
