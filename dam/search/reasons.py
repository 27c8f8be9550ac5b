"""Why a search found a picture: the tag, the words or the fact that answered each part of the query."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dam.assets.models import Asset
from dam.assets.naming import normalise
from dam.search.compile import Reading, leaves_of
from dam.search.compile_fields import field_condition
from dam.search.compile_words import Piece
from dam.search.language import All, Either, Field, Node, Not
from dam.search.page_loaded import claims_of
from dam.search.reasons_facts import fact_of, names_of
from dam.tagging.models import Claim, Tag

_MOST = 6
_MOST_TAGS = 2
_AROUND = 40
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing about a picture that the search asked for."""

    kind: str
    """``tag``, ``title``, ``description``, ``filename``, or the name of a filter such as ``width``."""
    text: str
    """What answered: a tag's name, the title, the words around the one that was found, “4,032 px wide”."""
    via: str = ""
    """How, where that is not plain: “tabby is an animal”."""

    def in_json(self) -> dict[str, str]:
        """As the REST API says it."""
        return {"kind": self.kind, "text": self.text, "via": self.via}


def reasons_for(*, reading: Reading | None, assets: Sequence[Asset]) -> dict[int, list[Reason]]:
    """Asset id → why a query found it, for a page that ``search_assets`` gave; at most six each.

    The number of database queries depends on the query alone, not on the number of assets.

    Args:
        reading: of the query; None: nothing was asked for, so there is no reason.
        assets: with claims loaded.
    """
    if reading is None or not assets:
        return {}
    names = _Names()
    tests = [
        _test_of(leaf, reading, assets, names, sure=sure) for leaf, sure in _leaves(reading.tree, reading)
    ]
    found: dict[int, list[Reason]] = {}
    for asset in assets:
        reasons = dict.fromkeys(reason for test in tests for reason in test(asset))
        found[asset.pk] = list(reasons)[:_MOST]
    return found


_Test = Callable[[Asset], Iterable[Reason]]


def _leaves(tree: Node, reading: Reading) -> Iterator[tuple[Piece | Field, bool]]:
    """What was asked for; and whether each picture of the page must have it, standing in no alternative."""
    parts = tree.nodes if isinstance(tree, All) else (tree,)
    # An alternative still stands between its neighbours, which are not to become one name.
    demanded = tuple(Not(part) if isinstance(part, Either) else part for part in parts)
    for leaf in leaves_of(All(demanded), reading.asked.names):
        yield leaf, True
    for part in parts:
        if isinstance(part, Either):
            for leaf in leaves_of(part, reading.asked.names):
                yield leaf, False


def _test_of(
    leaf: Piece | Field, reading: Reading, assets: Sequence[Asset], names: _Names, *, sure: bool
) -> _Test:
    if isinstance(leaf, Piece):
        return _test_of_words(leaf, reading, names)
    if leaf.name == "tag":
        tags = names.wanted(reading.asked.names.named(leaf.value))
        return lambda asset: _tag_reasons(asset, tags, names, leaf.value)
    holds: set[int] | None = None
    if not sure:
        rows = Asset.objects.filter(pk__in=[asset.pk for asset in assets])
        holds = set(rows.filter(field_condition(leaf, reading.asked)).values_list("pk", flat=True))
    called = names_of(leaf, reading.asked)

    def test(asset: Asset) -> Iterable[Reason]:
        if holds is None or asset.pk in holds:
            yield Reason(leaf.name, fact_of(leaf, asset, called))

    return test


# ------------------------------------------------------------------- words


def _test_of_words(piece: Piece, reading: Reading, names: _Names) -> _Test:
    spelling = reading.spellings.get(piece.text) if piece.mistyped else None
    tags = names.wanted(piece.tag_ids | (spelling.tag_ids if spelling else frozenset()))
    near = [Piece(word, frozenset(), "phrase") for word in spelling.words] if spelling else []

    def test(asset: Asset) -> Iterable[Reason]:
        yield from _tag_reasons(asset, tags, names, piece.text)
        yield from _text_reasons(asset, piece)
        for other in near:
            for reason in _text_reasons(asset, other):
                yield Reason(reason.kind, reason.text, f"spelt like “{piece.text}”")

    return test


def _text_reasons(asset: Asset, piece: Piece) -> Iterator[Reason]:
    texts = {"title": asset.title, "description": asset.description, "filename": asset.filename}
    spoken = {kind: f" {normalise(text)} " for kind, text in texts.items() if text}
    words = piece.text.split()
    if piece.kind == "plain":
        holding = {kind for kind, text in spoken.items() if all(f" {word} " in text for word in words)}
        if not holding and all(any(f" {word} " in text for text in spoken.values()) for word in words):
            # The words stand apart, one in the title and one in the file's name.
            holding = {kind for kind, text in spoken.items() if any(f" {word} " in text for word in words)}
    else:
        wanted = f" {piece.text}" if piece.kind == "prefix" else f" {piece.text} "
        holding = {kind for kind, text in spoken.items() if wanted in text}
    for kind, text in texts.items():
        if kind in holding:
            yield Reason(kind, _around(text, words) if kind == "description" else text)


def _around(text: str, words: Sequence[str]) -> str:
    """The part of a text that stands around the first of these words."""
    for found in _WORD.finditer(text):
        if normalise(found[0]).startswith(words[0]):
            start, end = max(0, found.start() - _AROUND), min(len(text), found.end() + _AROUND)
            part = " ".join(text[start:end].split())
            return f"{'…' if start else ''}{part}{'…' if end < len(text) else ''}"
    return f"{text[: 2 * _AROUND]}…" if len(text) > 2 * _AROUND else text


# -------------------------------------------------------------------- tags


class _Names:
    """Names of the tags that were asked for: one statement, and only if a picture has one below them."""

    def __init__(self) -> None:
        self._wanted: set[int] = set()

    def wanted(self, ids: frozenset[int]) -> frozenset[int]:
        """The ids as they are, of which any may be asked for later."""
        self._wanted |= ids
        return ids

    @cached_property
    def by_id(self) -> Mapping[int, str]:
        """All that are wanted."""
        return dict(Tag.objects.filter(pk__any_of=self._wanted).values_list("pk", "name"))


def _tag_reasons(asset: Asset, tags: frozenset[int], names: _Names, typed: str) -> Iterator[Reason]:
    """The tags that it carries of these, or else the best of those below them."""
    if tags.isdisjoint(asset.tag_ids):
        return
    shown = [claim for claim in claims_of(asset) if claim.state != Claim.State.REJECTED]
    own = [claim for claim in shown if claim.tag_id in tags]
    for claim in own[:_MOST_TAGS]:
        yield Reason("tag", claim.tag.name, _renamed(claim.tag, typed))
    if own:
        return
    below = [(claim.tag, up) for claim in shown for up in claim.tag.ancestor_ids if up in tags]
    for tag, up in below[:_MOST_TAGS]:
        yield Reason("tag", tag.name, f"{tag.name} is {_a(names.by_id[up])}")


def _renamed(tag: Tag, typed: str) -> str:
    """Which synonym found a tag, if it was one."""
    wanted = normalise(typed)
    return f"{tag.name} is also called {wanted}" if wanted in tag.lookup[1:] else ""


def _a(name: str) -> str:
    return f"{'an' if normalise(name)[:1] in {'a', 'e', 'i', 'o', 'u'} else 'a'} {name}"
