"""What bare words mean: names of tags, the longest first, and words that stand in the pictures' texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from django.contrib.postgres.search import SearchQuery
from django.db.models import Q

from dam.assets.naming import normalise
from dam.search.compile_names import LONGEST_NAME, Names, is_plain, is_prefix
from dam.search.compile_spelling import Spelling
from dam.search.language import Phrase, Word

NOTHING = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class Piece:
    """One or several words that are looked for as one thing."""

    text: str
    """Normalised words; never empty."""
    tag_ids: frozenset[int]
    kind: Literal["plain", "phrase", "prefix"]
    """All words in any order; side by side; side by side and the last one only the beginning of a word."""
    mistyped: bool = False
    """Whether it may be: a single bare word that no tag holds."""

    def condition(self, spelling: Spelling | None = None) -> Q:
        """On assets."""
        found = tagged(self.tag_ids) | written(self.text, self.kind)
        if spelling is not None:
            found |= tagged(spelling.tag_ids)
            if spelling.words:
                found |= _search(" | ".join(f"'{word}'" for word in spelling.words), "raw")
        return found


def pieces_of(words: Iterable[Word | Phrase], names: Names) -> list[Piece]:
    """Neighbouring words, taken apart from the left; mere punctuation is left out."""
    pieces: list[Piece] = []
    for plain, group in groupby(words, key=is_plain):
        if plain:
            texts = [normalise(word.text) for word in group]
            pieces += _run([text for text in texts if text], names)
        else:
            pieces += [piece for word in group if (piece := _alone(word, names)) is not None]
    return pieces


def _alone(word: Word | Phrase, names: Names) -> Piece | None:
    text = normalise(word.text)
    if not text:
        return None
    if isinstance(word, Word) and is_prefix(word.text):
        return Piece(text, names.beginning(text), "prefix")
    return Piece(text, names.exact(text), "phrase")


def _run(texts: Sequence[str], names: Names) -> list[Piece]:
    """Consecutive bare words: the longest names of tags among them from the left, then single words."""
    pieces: list[Piece] = []
    start = 0
    while start < len(texts):
        for length in range(min(LONGEST_NAME, len(texts) - start), 0, -1):
            text = " ".join(texts[start : start + length])
            ids = names.meant(text)
            if ids or length == 1:
                break
        ids = ids or names.holding(text)
        # "hot dog" is one thing, and a file called dog_on_a_hot_day.jpg has been asked for as well;
        # what was typed as one word, such as IMG_2041, stands in that order.
        pieces.append(Piece(text, ids, "plain" if length > 1 else "phrase", mistyped=not ids))
        start += length
    return pieces


def tagged(ids: Iterable[int]) -> Q:
    """That an asset has one of these tags, or one below."""
    ids = sorted(ids)
    return Q(tag_ids__overlap=ids) if ids else NOTHING


def written(words: str, kind: str) -> Q:
    """That these words stand in an asset's title, description or file name."""
    if kind != "prefix":
        return _search(words, kind)
    # Normalised words hold neither quotation marks nor backslashes.
    return _search(" <-> ".join(f"'{word}'" for word in words.split()) + ":*", "raw")


def _search(text: str, kind: str) -> Q:
    return Q(words=SearchQuery(text, config="simple", search_type=kind))
