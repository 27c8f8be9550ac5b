"""The words of pictures: what a search finds them by, and what a mistyped word is compared with."""

from __future__ import annotations

import re
from collections.abc import Collection

from django.db import connection, transaction

from dam.assets.models import Asset, LibraryWord
from dam.assets.naming import normalise

# A vector of words takes a megabyte at most; nobody searches for what stands behind so many letters.
_MAX_TEXT = 200_000
_MIN_WORD, _MAX_WORD = 3, 64
# Numbers are not mistyped into other numbers, and a million pictures would bring a million of them.
_DIGIT = re.compile(r"\d")

_WRITE = """
UPDATE assets_asset AS asset
SET words = to_tsvector('simple', new.text)
FROM unnest(%s::bigint[], %s::text[]) AS new (id, text)
WHERE asset.id = new.id
"""
# All that occur, from the vectors themselves; the lexemes of "simple" are the words of `normalise`.
_REFRESH = r"""
WITH present AS MATERIALIZED (
    SELECT word FROM ts_stat('SELECT words FROM assets_asset WHERE words IS NOT NULL')
    WHERE char_length(word) BETWEEN %s AND %s AND word !~ '\d'
), added AS (
    INSERT INTO assets_libraryword (word) SELECT word FROM present ORDER BY word
    ON CONFLICT DO NOTHING RETURNING word
), forgotten AS (
    DELETE FROM assets_libraryword WHERE word NOT IN (SELECT word FROM present) RETURNING word
)
SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM forgotten)
"""


def asset_words_write(*, asset_ids: Collection[int]) -> None:
    """Make ``Asset.words`` of these follow from title, description and file name, in their transaction.

    Words that are new to the library are noted for those who will mistype them.
    """
    # In the order of their ids, as whoever locks several does.
    rows = Asset.objects.filter(pk__in=asset_ids).order_by("pk")
    texts = {
        pk: normalise(f"{title} {filename} {description}"[:_MAX_TEXT])
        for pk, title, description, filename in rows.values_list("pk", "title", "description", "filename")
    }
    if not texts:
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, [list(texts), list(texts.values())])
        _words_add({word for text in texts.values() for word in text.split()})


def library_words_refresh() -> dict[str, int]:
    """Note all words that occur in the library, and forget those that do not any more; says how many."""
    with connection.cursor() as cursor:
        cursor.execute(_REFRESH, [_MIN_WORD, _MAX_WORD])
        added, forgotten = cursor.fetchone()
    return {"words_added": added, "words_forgotten": forgotten}


def is_library_word(word: str) -> bool:
    """Whether a normalised word is one that people may mistype."""
    return _MIN_WORD <= len(word) <= _MAX_WORD and _DIGIT.search(word) is None


def _words_add(words: set[str]) -> None:
    wanted = {word for word in words if is_library_word(word)}
    # Asked first: whoever inserts a word waits for others who are inserting the same one.
    known = set(LibraryWord.objects.filter(word__in=wanted).values_list("word", flat=True))
    LibraryWord.objects.bulk_create(
        (LibraryWord(word=word) for word in sorted(wanted - known)), ignore_conflicts=True, batch_size=1000
    )
