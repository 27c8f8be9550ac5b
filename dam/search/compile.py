"""What the search language means: a tree of words becomes a condition on assets.

A word finds the assets that carry the tag of that name, or whose name, title or description holds the
word. ``Asset.tag_ids`` holds the tags people see with everything above them in the vocabulary, and no
rejected ones, so "animal" finds a beagle and a rejected "dog" finds nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

from django.db.models import Q

from dam.assets.selectors import Person
from dam.search.compile_fields import Asked, field_condition
from dam.search.compile_names import Names
from dam.search.compile_spelling import Spelling, spellings_of
from dam.search.compile_words import NOTHING, Piece, pieces_of
from dam.search.language import All, Either, Field, Node, Not, Phrase, Word, parse


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition on assets, and what people should know about it."""

    condition: Q
    notices: tuple[str, ...] = ()
    ranked: tuple[int, ...] | None = None
    """Ids of assets in the order of their likeness, best first, for a query with ``similar:``."""
    reading: Reading | None = None
    """What its words were found to mean; None: nothing was asked for."""
    taken: Q | None = None
    """When all that it finds was taken, if it says so: a part of the condition."""


def compile_query(text: str, *, user: Person | None) -> Compiled:
    """Compile a query as that person means it: “me”, and only what they may see is known by name.

    A few small queries for names: two for tags, one for each word that no tag has, two for each filter that
    names something.

    Args:
        text: what was typed.
        user: who searches; None: the system, which sees all and is nobody.

    Raises:
        SearchError: the query cannot be understood.
    """
    reading = read_query(text, user=user)
    if reading is None:
        return Compiled(Q())
    condition = _condition(reading.tree, reading)
    asked = reading.asked
    if condition is None:
        return Compiled(NOTHING, ("There is no letter or digit to search for.",))
    return Compiled(condition, tuple(dict.fromkeys(asked.notices)), asked.ranked, reading, _taken(reading))


def read_query(text: str, *, user: Person | None) -> Reading | None:
    """What the words of a query mean to that person; None: nothing is asked for.

    Raises:
        SearchError: the query cannot be understood.
    """
    tree = parse(text)
    return None if tree is None else Reading.of(tree, user=user)


def _taken(reading: Reading) -> Q | None:
    """The first ``taken:`` that stands in no alternative."""
    parts = reading.tree.nodes if isinstance(reading.tree, All) else (reading.tree,)
    dates = (part for part in parts if isinstance(part, Field) and part.name == "taken")
    return next((field_condition(date, reading.asked) for date in dates), None)


def tags_named(name: str) -> list[int]:
    """Ids of the tags that ``tag:name`` means: that slug, else all of that name or synonym."""
    return sorted(Names.of(Field("tag", name)).named(name))


@dataclass(frozen=True, slots=True)
class Reading:
    """A query with all the names that its words were found to be."""

    tree: Node
    asked: Asked
    spellings: Mapping[str, Spelling]
    """Mistyped word → what it may have been meant as."""

    @classmethod
    def of(cls, tree: Node, *, user: Person | None) -> Reading:
        """Look up what the tree's words may mean."""
        asked = Asked(user=user, names=Names.of(tree))
        unknown = [
            leaf.text for leaf in leaves_of(tree, asked.names) if isinstance(leaf, Piece) and leaf.mistyped
        ]
        spellings = spellings_of(unknown, user=user)
        asked.notices += [spelling.notice(word) for word, spelling in spellings.items()]
        return cls(tree, asked, spellings)


def leaves_of(tree: Node, names: Names) -> Iterator[Piece | Field]:
    """What is demanded in some way; nothing of what is forbidden."""
    match tree:
        case Field():
            yield tree
        case Word() | Phrase():
            yield from pieces_of([tree], names)
        case Either(nodes=nodes):
            for node in nodes:
                yield from leaves_of(node, names)
        case All(nodes=nodes):
            for words, others in _grouped(nodes):
                yield from pieces_of(words, names)
                for node in others:
                    yield from leaves_of(node, names)
        case Not():
            return


def _grouped(nodes: Iterable[Node]) -> Iterator[tuple[list[Word | Phrase], list[Node]]]:
    """Stretches of neighbouring words, and of what is none."""
    for bare, group in groupby(nodes, key=lambda node: isinstance(node, (Word, Phrase))):
        members = list(group)
        words = [node for node in members if isinstance(node, (Word, Phrase))]
        yield words, [] if bare else members


def _condition(node: Node, reading: Reading, *, forbidden: bool = False) -> Q | None:
    """The condition of a part; None for mere punctuation, which is as if it had not been typed."""
    match node:
        case Word() | Phrase():
            return _words([node], reading, forbidden=forbidden)
        case Field():
            return field_condition(node, reading.asked)
        case Not(node=inner):
            condition = _condition(inner, reading, forbidden=True)
            return None if condition is None else ~condition
        case Either(nodes=nodes):
            return _joined((_condition(child, reading, forbidden=forbidden) for child in nodes), any_of=True)
        case All(nodes=nodes):
            return _joined(_conditions_of_all(nodes, reading, forbidden=forbidden), any_of=False)


def _conditions_of_all(nodes: tuple[Node, ...], reading: Reading, *, forbidden: bool) -> Iterator[Q | None]:
    for words, others in _grouped(nodes):
        if words:
            yield _words(words, reading, forbidden=forbidden)
        for node in others:
            yield _condition(node, reading, forbidden=forbidden)


def _words(words: list[Word | Phrase], reading: Reading, *, forbidden: bool) -> Q | None:
    # Nobody wants what is merely spelt like a forbidden word to be forbidden.
    spellings = {} if forbidden else reading.spellings
    pieces = pieces_of(words, reading.asked.names)
    return _joined(
        (piece.condition(spellings.get(piece.text) if piece.mistyped else None) for piece in pieces),
        any_of=False,
    )


def _joined(conditions: Iterable[Q | None], *, any_of: bool) -> Q | None:
    present = [condition for condition in conditions if condition is not None]
    if not present:
        return None
    return reduce(operator.or_ if any_of else operator.and_, present)
