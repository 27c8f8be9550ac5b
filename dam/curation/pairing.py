"""Which pictures look the same: fingerprints compared, each with the whole library, when they are new.

Multi-index hashing after Norouzi, Punjani and Fleet (2012): of seven bits that differ, one of the four bands
of a fingerprint has at most one. So whoever shares a band with a picture, or a band with one bit changed,
is looked at, and nobody else can be nearer than eight bits: 68 keys of an index instead of the library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db import connection, transaction
from pydantic_core import to_json

from dam.tagging.bulk_sql import rows_read, rows_update
from dam.tagging.likeness import BAND_BITS, bands_of
from dam.tagging.models import Likeness

MOST_BITS = 7
"""Fingerprints that differ in more bits are of different pictures; the bands find all up to here."""

# Fingerprints are alike by chance, too: one sunset over the sea has that of another. So the embeddings have
# to agree, the more the more bits differ; docs/similar.md has what that was chosen by.
_LEAST_SIMILARITY, _SIMILARITY_PER_BIT = 0.6, 0.04
# Where there are none of one space, only equal fingerprints say enough.
_MOST_BITS_ALONE = 0
# Of a thousand copies of one picture, each is paired with its nearest, and of those with the oldest: who
# goes through them comes to the end all the same.
_MOST_NEAR = 20

# Pictures that are compared in one transaction.
AT_ONCE = 200


def pairs_find(*, limit: int = AT_ONCE) -> int:
    """Compare the next pictures whose fingerprints are new with all others; returns how many.

    What was found for them before and is no longer near goes. Pictures in the trash are compared, too: they
    may come back. 0: nothing is left, or somebody else is at it.
    """
    with transaction.atomic():
        if not _is_alone():
            return 0
        fresh = rows_read(_FRESH, limit)
        _compare(fresh)
    return len(fresh)


def pairs_find_all(
    *, should_stop: Callable[[], bool] = bool, advance: Callable[[int], None] = lambda _count: None
) -> int:
    """Compare all pictures whose fingerprints are new; returns how many.

    Args:
        should_stop: asked before each batch; what is left is done by the next call.
        advance: told how many pictures a batch had.
    """
    total = 0
    while not should_stop() and (count := pairs_find()):
        total += count
        advance(count)
    return total


def pairs_find_again(*, advance: Callable[[int], None] = lambda _count: None) -> int:
    """Compare every picture anew, say with the embeddings of another model; returns how many.

    Args:
        advance: told how many pictures a batch had.
    """
    total = last = 0
    while True:
        with transaction.atomic():
            alone = _is_alone()
            batch = rows_read(_NEXT, last, AT_ONCE) if alone else []
            _compare(batch)
        if not batch:
            return total
        last = batch[-1][0]
        total += len(batch)
        advance(len(batch))


def pictures_waiting() -> int:
    """How many pictures are still to be compared."""
    return Likeness.objects.filter(fingerprint__isnull=False, paired_at__isnull=True).count()


def probes_of(fingerprint: int) -> list[int]:
    """The bands of a fingerprint and those that differ from one of them by a bit: 68 keys."""
    bands = bands_of(fingerprint)
    return bands + [band ^ 1 << bit for band in bands for bit in range(BAND_BITS)]


def _is_alone() -> bool:
    """Whether nobody else compares pictures until the transaction ends."""
    return bool(rows_read("SELECT pg_try_advisory_xact_lock(hashtextextended('duplicate pairs', 0))")[0][0])


def _compare(pictures: Sequence[tuple[int, int]]) -> None:
    """Compare these (id, fingerprint) with all others, and keep what is near."""
    if not pictures:
        return
    ids = [asset_id for asset_id, _ in pictures]
    found = _near(pictures)
    # One that is deleted meanwhile is waited for here and is gone then; held in the order of their ids, as by
    # everybody, and so that nobody is kept from changing them.
    held = {row[0] for row in rows_read(_HOLD, [*ids, *(each for pair in found for each in pair[:2])])}
    with connection.cursor() as cursor:
        cursor.execute(_NO_LONGER, {"ids": ids})
    rows_update(
        _KEEP_PAIRS,
        [
            {"first": first, "second": second, "distance": bits}
            for first, second, bits in found
            if first in held and second in held
        ],
    )
    rows_update(_COMPARED, [{"id": asset_id, "fingerprint": bits} for asset_id, bits in pictures])


def _near(pictures: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Pairs (smaller id, larger id, bits) in which one of these stands, in the order of the ids."""
    probes = [
        {"id": asset_id, "fingerprint": fingerprint, "probes": probes_of(fingerprint)}
        for asset_id, fingerprint in pictures
    ]
    with connection.cursor() as cursor:
        # The planner takes 68 keys for a large part of the table, which they are not.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(_NEAR, [to_json(probes).decode()])
        found = cursor.fetchall()
        cursor.execute("SET LOCAL enable_seqscan = DEFAULT")
    return [(int(first), int(second), int(bits)) for first, second, bits in found]


_FRESH = """
SELECT asset_id, fingerprint FROM tagging_likeness
WHERE paired_at IS NULL AND fingerprint IS NOT NULL
ORDER BY asset_id LIMIT %s
"""
_NEXT = """
SELECT asset_id, fingerprint FROM tagging_likeness
WHERE asset_id > %s AND fingerprint IS NOT NULL
ORDER BY asset_id LIMIT %s
"""
_HOLD = "SELECT id FROM assets_asset WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"

_BITS = "bit_count((mine.fingerprint # other.fingerprint)::bit(64))"
# Nothing is NULL but what there is nothing to compare with: an embedding, or one of the same space.
_LIKE = "CASE WHEN mine.embedding_id = other.embedding_id THEN -(mine.embedding <#> other.embedding) END"
_LOOK_THE_SAME = f"""
{_BITS} <= {MOST_BITS}
AND coalesce({_LIKE} >= {_LEAST_SIMILARITY} + {_SIMILARITY_PER_BIT} * {_BITS}, {_BITS} <= {_MOST_BITS_ALONE})
"""
_NEAR = f"""
SELECT DISTINCT least(mine.asset_id, near.asset_id), greatest(mine.asset_id, near.asset_id), near.bits
FROM json_to_recordset(%s) AS asked (id bigint, fingerprint bigint, probes int[])
JOIN tagging_likeness AS mine ON mine.asset_id = asked.id AND mine.fingerprint = asked.fingerprint
CROSS JOIN LATERAL (
    SELECT other.asset_id, {_BITS} AS bits FROM tagging_likeness AS other
    WHERE other.bands && asked.probes AND other.asset_id <> mine.asset_id AND {_LOOK_THE_SAME}
    ORDER BY bits, other.asset_id LIMIT {_MOST_NEAR}
) AS near
ORDER BY 1, 2
"""  # noqa: S608  # constants of this module only
_NO_LONGER = f"""
DELETE FROM curation_duplicatepair AS pair
WHERE (pair.first_id = ANY(%(ids)s) OR pair.second_id = ANY(%(ids)s)) AND NOT EXISTS (
    SELECT FROM tagging_likeness AS mine JOIN tagging_likeness AS other ON {_LOOK_THE_SAME}
    WHERE mine.asset_id = pair.first_id AND other.asset_id = pair.second_id)
"""  # noqa: S608  # likewise
# In the order of the ids: nobody waits in a circle for a pair that another one adds.
_KEEP_PAIRS = """
INSERT INTO curation_duplicatepair AS kept (first_id, second_id, distance, state, found_at)
SELECT first, second, distance, 'open', now()
FROM json_to_recordset(%s) AS found (first bigint, second bigint, distance int)
ORDER BY first, second
ON CONFLICT (first_id, second_id) DO UPDATE SET distance = excluded.distance
WHERE kept.distance <> excluded.distance
"""
# One whose fingerprint changed meanwhile is compared again.
_COMPARED = """
UPDATE tagging_likeness AS likeness SET paired_at = now() FROM (
    SELECT held.asset_id FROM tagging_likeness AS held
    JOIN json_to_recordset(%s) AS compared (id bigint, fingerprint bigint)
        ON compared.id = held.asset_id AND compared.fingerprint = held.fingerprint
    ORDER BY held.asset_id FOR NO KEY UPDATE OF held
) AS compared
WHERE likeness.asset_id = compared.asset_id
"""
