"""The search language: what people type becomes a small tree, or an error that says where.

::

    dog beach            both (consecutive words may also be the name of one tag: hot dog)
    "golden gate"        exactly these words, side by side
    -cat                 not
    tag:espresso         only by the tag, never by a file's name; tag:"hot dog"
    dog OR cat           either; binds weaker than the blank
    (dog OR cat) beach   brackets
    retr*                words that begin so
    width:>2000          a filter; ``language_fields`` has them all

Another filter is a line in ``language_fields.FIELDS`` and its meaning in ``compile_fields``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from dam.assets.naming import normalise
from dam.search.language_fields import ALIASES, FIELDS, filter_named

MAX_LENGTH = 500
MAX_TERMS = 50
MAX_DEPTH = 10

# Quotation marks of other keyboards; one character for one, so that columns stay true.
QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))

_GRAMMAR = r"""
    start: [either]
    ?either: all (_OR all)*
    ?all: factor (_AND? factor)*
    ?factor: _NOT atom -> negation
           | atom
    ?atom: WORD -> word
         | PHRASE -> phrase
         | FIELD VALUE -> field
         | "(" either ")" -> group

    _OR.3: /OR(?=[\s()"]|$)/
    _AND.3: /AND(?=[\s()"]|$)/
    // A dash before something negates it; a dash alone is punctuation that people type.
    _NOT.2: /-+(?=[^\s()-])|-+(?=\()/
    FIELD.2: /[^\W\d]\w*:(?=[^\s():])/
    // Known only right behind a field: quotation marks may stand anywhere in it, as in score:"hot dog">0.9.
    VALUE: /([^\s()"]|"[^"]*")+/
    PHRASE: /"[^"]*"/
    WORD: /(?!(OR|AND)(?=[\s()"]|$))[^\s()"-][^\s()"]*|-+(?=\s|\)|$)/
    %ignore /\s+/
"""


class SearchError(Exception):
    """What was typed cannot be understood."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        """A sentence for people."""
        self.column = column
        """Where, counted from 1; None if it concerns the whole."""


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in quotation marks."""

    text: str


@dataclass(frozen=True, slots=True)
class Field:
    """``name:value``."""

    name: str
    value: str
    """Without quotation marks; understood, as `parse` has read it once."""
    column: int | None = field(default=None, compare=False)
    """Where the value begins in what was typed."""


@dataclass(frozen=True, slots=True)
class Not:
    """Everything else."""

    node: Node


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them; the order is kept because neighbouring words may name one tag."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of them."""

    nodes: tuple[Node, ...]


Node = Word | Phrase | Field | Not | All | Either


def parse(text: str) -> Node | None:
    """The tree of a query; None for an empty one, which finds everything.

    Raises:
        SearchError: with a sentence and the column.
    """
    if len(text) > MAX_LENGTH:
        raise SearchError(f"A search has at most {MAX_LENGTH} characters.")
    if "\x00" in text:
        raise SearchError("A search is text.", text.index("\x00") + 1)
    plain = text.translate(QUOTES)
    if plain.count('"') % 2:
        raise SearchError("This quotation mark is not closed.", plain.rindex('"') + 1)
    try:
        node: Node | None = _PARSER.parse(plain)  # type: ignore[assignment]  # the transformer's type
    except VisitError as error:
        if isinstance(error.orig_exc, SearchError):
            raise error.orig_exc from None
        raise
    except UnexpectedToken as error:
        raise _explain(error.token, plain) from None
    except UnexpectedCharacters as error:
        place = error.pos_in_stream or 0
        raise SearchError(f"“{plain[place]}” is not understood here.", place + 1) from None
    except UnexpectedEOF:
        raise SearchError("Something is missing at the end.", len(plain)) from None
    if node is not None:
        _check_size(node)
    return node


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order of the text."""
    yield node
    if isinstance(node, Not):
        yield from walk(node.node)
    elif isinstance(node, (All, Either)):
        for child in node.nodes:
            yield from walk(child)


def _explain(token: Token, text: str) -> SearchError:
    if token.type == "$END":
        opening = _unclosed(text)
        if opening is not None:
            return SearchError("This bracket is not closed.", opening + 1)
        return SearchError("Something is missing at the end.", max(len(text), 1))
    column = _column(token)
    if token.type in {"_OR", "_AND"}:
        message = f"{token} stands between two things to search for."
    elif token.type != "RPAR":
        message = f"“{token}” is not understood here."
    elif text[: column - 1].rstrip().endswith("("):
        message = "There is nothing between these brackets."
    elif text[: column - 1].count("(") > text[: column - 1].count(")"):
        message = "Something is missing before this bracket."
    else:
        message = "This bracket was never opened."
    return SearchError(message, column)


def _column(token: Token) -> int:
    # Not the token's own column, which counts from the last line break.
    return (token.start_pos or 0) + 1


def _unclosed(text: str) -> int | None:
    """Where the innermost bracket stands that nothing closes; those in quotation marks do not count."""
    opened: list[int] = []
    quoted = False
    for position, char in enumerate(text):
        if char == '"':
            quoted = not quoted
        elif char == "(" and not quoted:
            opened.append(position)
        elif char == ")" and not quoted and opened:
            opened.pop()
    return opened[-1] if opened else None


def _check_size(node: Node) -> None:
    terms = sum(isinstance(part, (Word, Phrase, Field)) for part in walk(node))
    if terms > MAX_TERMS:
        raise SearchError(f"A search has at most {MAX_TERMS} words.")
    if _depth(node) > MAX_DEPTH:
        raise SearchError(f"Brackets go at most {MAX_DEPTH} deep.")
    _check_similar(node)


def _check_similar(node: Node) -> None:
    """Likeness orders a whole search, so one picture is named for it, and no condition hangs on that."""
    named = [part for part in walk(node) if isinstance(part, Field) and part.name == "similar"]
    if len(named) > 1:
        raise SearchError("A search is for what is similar to one picture.", named[1].column)
    top = node.nodes if isinstance(node, All) else (node,)
    if named and not any(part is named[0] for part in top):
        message = "“similar:” holds for the whole search: it stands in no OR, behind no dash."
        raise SearchError(message, named[0].column)


def _depth(node: Node) -> int:
    if isinstance(node, Not):
        return 1 + _depth(node.node)
    if isinstance(node, (All, Either)):
        return 1 + max(_depth(child) for child in node.nodes)
    return 0


class _ToTree(Transformer[Token, Any]):
    def start(self, children: list[Any]) -> Node | None:
        node: Node | None = children[0]
        return node

    def either(self, children: list[Node]) -> Node:
        return Either(tuple(_joined(children, Either)))

    def all(self, children: list[Node]) -> Node:
        return All(tuple(_joined(children, All)))

    def negation(self, children: list[Node]) -> Node:
        return Not(children[0])

    def group(self, children: list[Node]) -> Node:
        return children[0]

    def word(self, children: list[Token]) -> Node:
        if children[0].endswith(":") and filter_named(children[0][:-1]):
            raise SearchError(f"“{children[0]}” needs something right after it.", _column(children[0]))
        if children[0].endswith("*") and len(letters := normalise(children[0])) == 1 and letters.isascii():
            raise SearchError("At least two letters stand before “*”.", _column(children[0]))
        return Word(str(children[0]))

    def phrase(self, children: list[Token]) -> Node:
        return Phrase(str(children[0])[1:-1])

    def field(self, children: list[Token]) -> Node:
        name = filter_named(children[0][:-1])
        if name is None:
            raise _unknown(children[0])
        value = " ".join(str(children[1]).replace('"', "").split())
        if not value:
            raise SearchError(f"“{children[0]}” needs something right after it.", _column(children[0]))
        try:
            FIELDS[name].read(value)
        except ValueError as error:
            raise SearchError(str(error), _column(children[1])) from None
        return Field(name, value, _column(children[1]))


def _joined(nodes: list[Node], kind: type[All | Either]) -> Iterator[Node]:
    """Brackets around the same relation mean nothing: ``(a b) c`` is ``a b c``."""
    for node in nodes:
        if isinstance(node, kind):
            yield from node.nodes
        else:
            yield node


def _unknown(token: Token) -> SearchError:
    close = get_close_matches(token[:-1].casefold(), [*FIELDS, *ALIASES], n=1, cutoff=0.7)
    meant = f" Did you mean {close[0]}:?" if close else ""
    known = ", ".join(f"{name}:" for name in FIELDS)
    message = f"There is no filter “{token}”.{meant} Known: {known}. "
    return SearchError(f"{message}Put quotation marks around text with a colon.", _column(token))


# LALR with the transformer inside: no recursion, however deep the brackets of a malicious query are.
_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True, transformer=_ToTree())
