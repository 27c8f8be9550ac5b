"""What pictures look like, kept beside what is said of them: rows by which similar ones are found.

Derived as claims are: the embedding follows the newest answer that counts for the current file, and goes
with a version that is withdrawn. Fingerprint and colours are facts of the pixels and stay, whichever model
answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection

from dam.tagging.bulk_sql import rows_update

BANDS = 4
BAND_BITS = 16
_BAND = (1 << BAND_BITS) - 1


def bands_of(fingerprint: int | None) -> list[int]:
    """The four bands of a fingerprint, the lowest bits first, each with its place above its 16 bits."""
    if fingerprint is None:
        return []
    return [place << BAND_BITS | (fingerprint >> place * BAND_BITS) & _BAND for place in range(BANDS)]


def likeness_keep(rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the looks that came with predictions stored just now, in the transaction that stored them.

    Nothing is written where nothing changes: each write costs one of the vector index.

    Args:
        rows: ``id`` of the asset, ``version_id``, ``model_id`` and ``generation`` of its prediction, and
            ``colours`` and ``fingerprint``. Without colours they are of a worker that makes no looks: those
            that there are stay.
    """
    whole = [{**row, "bands": bands_of(row["fingerprint"])} for row in rows if row["colours"]]
    rows_update(_KEEP_ALL, whole)
    rows_update(_KEEP_EMBEDDING, [row for row in rows if not row["colours"]])


def likeness_follow(*, predictions: Collection[int], unanswered: Collection[int]) -> None:
    """Let embeddings follow from these predictions; assets that no answer counts for lose theirs.

    The caller holds the assets' rows. An asset that has no row gets one, with an embedding alone.
    """
    with connection.cursor() as cursor:
        if predictions:
            cursor.execute(_FOLLOW, [list(predictions)])
        if unanswered:
            cursor.execute(_LOSE_EMBEDDING, [list(unanswered)])


def likeness_forget_failed(*, asset_ids: Collection[int]) -> None:
    """Forget what those of these assets looked like that failed: it was another file that did."""
    if asset_ids:
        with connection.cursor() as cursor:
            cursor.execute(_FORGET_FAILED, [list(asset_ids)])


# Answers to the same pixels in the same space differ by what rounding in another batch makes of them.
_SPACE_OR_EMBEDDING_DIFFERS = """
kept.embedding_id <> excluded.embedding_id
OR coalesce(kept.embedding <#> excluded.embedding > -0.9995,
            (kept.embedding IS NULL) <> (excluded.embedding IS NULL))
"""
_OF_JUST_STORED = """
JOIN tagging_prediction AS fact ON fact.asset_version_id = seen.version_id
    AND fact.model_version_id = seen.model_id AND fact.generation = seen.generation
JOIN tagging_modelversion AS model ON model.id = fact.model_version_id
ORDER BY seen.id
"""
_SPACE = "CASE WHEN fact.embedding IS NULL THEN '' ELSE model.embedding_id END"

_KEEP_ALL = f"""
INSERT INTO tagging_likeness AS kept (asset_id, embedding_id, embedding, fingerprint, bands)
SELECT seen.id, {_SPACE}, fact.embedding, seen.fingerprint, seen.bands
FROM json_to_recordset(%s) AS seen (
    id bigint, version_id bigint, model_id bigint, generation int, fingerprint bigint, bands int[])
{_OF_JUST_STORED}
ON CONFLICT (asset_id) DO UPDATE SET
    embedding_id = excluded.embedding_id, embedding = excluded.embedding,
    fingerprint = excluded.fingerprint, bands = excluded.bands,
    paired_at = CASE WHEN kept.fingerprint IS NOT DISTINCT FROM excluded.fingerprint THEN kept.paired_at END
WHERE kept.fingerprint IS DISTINCT FROM excluded.fingerprint OR {_SPACE_OR_EMBEDDING_DIFFERS}
"""  # noqa: S608  # constants of this module only
_KEEP_EMBEDDING = f"""
INSERT INTO tagging_likeness AS kept (asset_id, embedding_id, embedding, bands)
SELECT seen.id, {_SPACE}, fact.embedding, '{{}}'
FROM json_to_recordset(%s) AS seen (id bigint, version_id bigint, model_id bigint, generation int)
{_OF_JUST_STORED}
ON CONFLICT (asset_id) DO UPDATE SET embedding_id = excluded.embedding_id, embedding = excluded.embedding
WHERE {_SPACE_OR_EMBEDDING_DIFFERS}
"""  # noqa: S608  # likewise
_FOLLOW = f"""
INSERT INTO tagging_likeness AS kept (asset_id, embedding_id, embedding, bands)
SELECT fact.asset_id, model.embedding_id, fact.embedding, '{{}}'
FROM tagging_prediction AS fact JOIN tagging_modelversion AS model ON model.id = fact.model_version_id
WHERE fact.id = ANY(%s) AND fact.embedding IS NOT NULL
ORDER BY fact.asset_id
ON CONFLICT (asset_id) DO UPDATE SET embedding_id = excluded.embedding_id, embedding = excluded.embedding
WHERE {_SPACE_OR_EMBEDDING_DIFFERS}
"""  # noqa: S608  # likewise
_LOSE_EMBEDDING = """
UPDATE tagging_likeness SET embedding = NULL, embedding_id = ''
WHERE asset_id = ANY(%s) AND embedding IS NOT NULL
"""
_FORGET_FAILED = """
DELETE FROM tagging_likeness AS likeness USING assets_asset AS asset
WHERE asset.id = likeness.asset_id AND asset.id = ANY(%s) AND asset.state = 'failed'
"""
