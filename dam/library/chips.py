"""The parts of a query, each with the query that is left without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from dam.search.language import Field, Node, Not, parse, walk
from dam.search.terms import parts_of, write, write_all
from dam.tagging.models import Tag


@dataclass(frozen=True, slots=True)
class Chip:
    """One part of a query as people see it."""

    label: str
    address: str
    """Query string of the search without this part."""
    negated: bool = False
    is_tag: bool = False
    kind: str = ""
    """The filter's name; empty for words and for alternatives."""


def chips_of(query: str, *, sort: str) -> list[Chip]:
    """The parts that all have to hold; a query of alternatives is one part.

    Raises:
        SearchError: the query cannot be understood.
    """
    tree = parse(query)
    if tree is None:
        return []
    parts = parts_of(tree)
    names = _tag_names(tree)
    chips = []
    for position, part in enumerate(parts):
        rest = tuple(other for place, other in enumerate(parts) if place != position)
        bare = part.node if isinstance(part, Not) else part
        kind = bare.name if isinstance(bare, Field) else ""
        chips.append(
            Chip(
                label=_label(part, names),
                address=search_address(query=write_all(rest), sort=sort),
                negated=isinstance(part, Not),
                is_tag=kind == "tag",
                kind=kind,
            )
        )
    return chips


def search_address(*, query: str = "", sort: str = "newest", **more: str) -> str:
    """``?q=…&sort=…`` with what differs from the plain library; ``"?"`` for that itself."""
    wanted = {"q": query, "sort": "" if sort == "newest" else sort, **more}
    return "?" + urlencode({name: value for name, value in wanted.items() if value})


def _tag_names(tree: Node) -> Mapping[str, str]:
    slugs = [node.value for node in walk(tree) if isinstance(node, Field) and node.name == "tag"]
    return dict(Tag.objects.filter(slug__in=slugs).values_list("slug", "name")) if slugs else {}


def _label(node: Node, names: Mapping[str, str]) -> str:
    match node:
        case Not(inner):
            return f"not {_label(inner, names)}"
        case Field("tag", value):
            return names.get(value, value)
        case Field(name, value):
            return f"{name}: {value.removeprefix('=')}"
        case _:
            return write(node)
