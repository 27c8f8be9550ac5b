"""Every address that the site answers, with the ids of a library put in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter
from django.urls.resolvers import RoutePattern

# What none of these can show, or what ends the session of who asks.
LEFT_OUT = frozenset({"healthz", "readyz", "sign-out", "jsi18n", "favicon", "api-docs", "api-schema"})


def addresses(values: dict[str, list[Any]]) -> Iterator[str]:
    """Each address of a route, once for each value of each of its parameters.

    Args:
        values: parameter's name → what it may be; ``*`` for numbers that have no line of their own.
    """
    for route, parameters, name in _routes(get_resolver().url_patterns, "", {}):
        if name in LEFT_OUT or "(" in route:
            continue
        names = list(parameters)
        choices = [
            values[each]
            if each in values
            else values["*"]
            if isinstance(parameters[each], IntConverter)
            else []
            for each in names
        ]
        for chosen in product(*choices):
            yield "/" + _filled(route, dict(zip(names, chosen, strict=True)))


def _filled(route: str, chosen: dict[str, Any]) -> str:
    parts = route.replace("<", "\0<").replace(">", ">\0").split("\0")
    return "".join(
        str(chosen[part[1:-1].rpartition(":")[2]]) if part.startswith("<") else part for part in parts
    )


def _routes(
    patterns: list[Any], before: str, known: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any], str]]:
    for each in patterns:
        pattern = each.pattern
        route = str(pattern) if isinstance(pattern, RoutePattern) else f"({pattern})"
        parameters = {**known, **getattr(pattern, "converters", {})}
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, before + route, parameters)
        elif isinstance(each, URLPattern):
            yield before + route, parameters, each.name or ""
