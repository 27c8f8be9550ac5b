"""Words that were mistyped: what they are nearest to, among the names of tags and the words of the library.

Nobody learns by this what stands in pictures that they may not see: whether a word is unknown is asked of
what they may see, and the words of the library are searched for and never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import connection

from dam.assets.models import Asset
from dam.assets.selectors import Person, assets_visible_to
from dam.assets.words import is_library_word

# More unknown words than that were not mistyped.
_MAX_WORDS = 4
_MAX_NEAR = 8
# From so many letters on, two of them may be wrong.
_LONG = 8

_TAGS = """
SELECT tag.id, tag.name, word
FROM tagging_tag AS tag, unnest(tag.lookup) AS called, string_to_table(called, ' ') AS word
WHERE tag.active AND (word = ANY(%(variants)s) OR (%(long)s AND similarity(word, %(word)s) >= 0.3))
"""
_WORDS = """
SELECT word FROM assets_libraryword WHERE word = ANY(%(variants)s)
UNION
SELECT word FROM assets_libraryword WHERE %(long)s AND word %% %(word)s
"""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What an unknown word may have been meant as."""

    tag_ids: frozenset[int]
    tag_names: tuple[str, ...]
    words: tuple[str, ...]
    """Of titles, descriptions and file names, anybody's: not to be shown."""

    def notice(self, typed: str) -> str:
        """What people should know."""
        names = ", ".join(self.tag_names)
        found = f": {names}" if names else ""
        return f"Nothing is called “{typed}”. Words spelt like it were searched for, too{found}."


def spellings_of(words: Iterable[str], *, user: Person | None) -> Mapping[str, Spelling]:
    """For each of these words that no picture has which the person may see: what is spelt like it.

    Args:
        words: normalised, none of them a word of a tag's name.
        user: who searches; None: the system, which sees all.
    """
    wanted = [word for word in dict.fromkeys(words) if is_library_word(word)][:_MAX_WORDS]
    if not wanted:
        return {}
    visible = Asset.objects.all() if user is None else assets_visible_to(user)
    found = {}
    for word in wanted:
        query = SearchQuery(word, config="simple", search_type="phrase")
        if not visible.filter(words=query).order_by().exists():
            found[word] = _nearest(word)
    return found


def _nearest(word: str) -> Spelling:
    allowed = 2 if len(word) >= _LONG else 1
    given: dict[str, Any] = {"variants": sorted(_variants(word)), "long": allowed > 1, "word": word}
    with connection.cursor() as cursor:
        cursor.execute(_TAGS, given)
        tags = [(distance(word, near), pk, name) for pk, name, near in cursor.fetchall()]
        cursor.execute(_WORDS, given)
        others = sorted((distance(word, near), near) for (near,) in cursor.fetchall() if near != word)
    tags = sorted(tag for tag in tags if tag[0] <= allowed)
    best = [tag for tag in tags if tag[0] == tags[0][0]][:_MAX_NEAR]
    return Spelling(
        tag_ids=frozenset(pk for _, pk, _ in best),
        tag_names=tuple(dict.fromkeys(name for _, _, name in best)),
        words=tuple(near for far, near in others if far <= allowed)[:_MAX_NEAR],
    )


def _variants(word: str) -> set[str]:
    """Words one slip away: two letters swapped; for longer words also one missing, too many, or another."""
    cuts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    swapped = {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    if len(word) < 4:
        return swapped
    letters = {*ascii_lowercase, *word}
    missing = {left + letter + right for left, right in cuts for letter in letters}
    others = {left + letter + right[1:] for left, right in cuts if right for letter in letters}
    return swapped | missing | others | {left + right[1:] for left, right in cuts if right}


def distance(one: str, other: str) -> int:
    """How many slips lie between two words: a letter missing, added, another, or two swapped (OSA)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]
