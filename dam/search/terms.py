"""Queries as text that programs change: parts added and taken away, and trees written down again."""

from __future__ import annotations

from dataclasses import dataclass

from dam.search.language import QUOTES, All, Either, Field, Node, Not, Phrase, Word, parse

# Where a bare value would find more than what is exactly that: camera:canon.
_LOOSE = frozenset({"camera", "licence"})


@dataclass(frozen=True, slots=True)
class Term:
    """One of the parts of a query that all have to hold."""

    text: str
    """As :func:`term_add` takes it and writes it."""
    negated: bool


def term(field: str, value: object) -> str:
    """``field:value``, which means that very value; in quotation marks where it needs them.

    Quotation marks within the value are dropped, for nothing stands for them.

    Raises:
        ValueError: the value is empty.
    """
    text = " ".join(str(value).translate(QUOTES).replace('"', "").split())
    if not text:
        raise ValueError("a term needs a value")
    exactly = "=" if field in _LOOSE else ""
    return write(Field(field, f"{exactly}{text}"))


def tag_term(slug: str) -> str:
    """The query that finds the assets of a tag."""
    return term("tag", slug)


def terms_of(query: str) -> list[Term]:
    """The parts of a query that all have to hold, in its order; a query of alternatives is one part.

    Raises:
        SearchError: the query cannot be understood.
    """
    return [
        Term(write(part.node), negated=True) if isinstance(part, Not) else Term(write(part), negated=False)
        for part in parts_of(parse(query))
    ]


def term_add(query: str, term: str, *, negated: bool = False) -> str:
    """The query that demands this, too, or with ``negated`` forbids it; the opposite of it goes.

    Alternatives get brackets. A query that has the term already is the same query.

    Raises:
        SearchError: query or term cannot be understood.
    """
    wanted = parse(term)
    if wanted is None:
        return write_all(parts_of(parse(query)))
    if isinstance(wanted, Not):
        wanted, negated = wanted.node, not negated
    opposite, new = (wanted, Not(wanted)) if negated else (Not(wanted), wanted)
    parts = [part for part in parts_of(parse(query)) if not _same(part, opposite)]
    additions = [part for part in parts_of(new) if not any(_same(part, known) for known in parts)]
    return write_all((*parts, *additions))


def term_remove(query: str, term: str) -> str:
    """The query without this part, demanded or forbidden; without it already, the same query.

    Raises:
        SearchError: query or term cannot be understood.
    """
    unwanted = parse(term)
    if unwanted is None:
        return write_all(parts_of(parse(query)))
    if isinstance(unwanted, Not):
        unwanted = unwanted.node
    gone = [*parts_of(unwanted), unwanted, Not(unwanted)]
    return write_all(
        tuple(part for part in parts_of(parse(query)) if not any(_same(part, each) for each in gone))
    )


def parts_of(tree: Node | None) -> tuple[Node, ...]:
    """What all has to hold."""
    if tree is None:
        return ()
    return tree.nodes if isinstance(tree, All) else (tree,)


def write_all(parts: tuple[Node, ...]) -> str:
    """The query that demands all of these."""
    return write(parts[0] if len(parts) == 1 else All(parts))


def write(node: Node) -> str:
    """A query that parses to this tree; brackets and quotation marks only where they are needed."""
    match node:
        case Word(text):
            return text
        case Phrase(text):
            return f'"{text}"'
        case Field(name, value):
            return f'{name}:"{value}"' if _needs_quotes(value) else f"{name}:{value}"
        case Not(inner):
            return f"-{_bracketed(inner)}"
        case All(nodes):
            return " ".join(
                _bracketed(child) if isinstance(child, Either) else write(child) for child in nodes
            )
        case Either(nodes):
            return " OR ".join(write(child) for child in nodes)


def _needs_quotes(value: str) -> bool:
    return value.startswith(":") or any(char.isspace() or char in "()" for char in value)


def _bracketed(node: Node) -> str:
    # A word of dashes behind the dash that negates it would be one longer dash.
    dashes = isinstance(node, Word) and node.text.startswith("-")
    return f"({write(node)})" if dashes or isinstance(node, (Not, All, Either)) else write(node)


def _same(one: Node, other: Node) -> bool:
    """Whether two parts are one, however their values are capitalised."""
    return _folded(one) == _folded(other)


def _folded(node: Node) -> Node:
    match node:
        case Field(name, value):
            return Field(name, value.casefold())
        case Not(inner):
            return Not(_folded(inner))
        case _:
            return node
