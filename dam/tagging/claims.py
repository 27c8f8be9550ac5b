"""Claims: derived from predictions and decisions, for any number of assets at once, and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.bulk_sql import rows_copy, rows_read, rows_update
from dam.tagging.derive import Derived, Said, derive
from dam.tagging.likeness import likeness_follow
from dam.tagging.models import Decision, Prediction, Tag
from dam.tagging.vocabulary import Vocabulary, vocabulary

# What people see follows from these, unless their version is withdrawn; the answers to the other purposes
# are seen by nobody.
LIVE_PURPOSES = (TaggingJob.Purpose.LIVE, TaggingJob.Purpose.CAMPAIGN)

# Assets that are derived in one transaction: each is locked until it ends.
_AT_ONCE = 200


class AssetClaims(NamedTuple):
    """What one asset is to claim; ``model_version_id``: whose scores they are."""

    asset_id: int
    derived: Derived
    model_version_id: int | None


def claims_derive(*, asset: Asset, words: Vocabulary | None = None) -> Derived:
    """Derive the claims of an asset again and store what differs, with its search column.

    Raises:
        Asset.DoesNotExist: it is gone.
    """
    for found in assets_derive(asset_ids=[asset.pk], words=words or vocabulary()):
        asset.tag_ids = list(found.derived.tag_ids)
        return found.derived
    raise Asset.DoesNotExist


def claims_derive_all(*, should_stop: Callable[[], bool] = bool) -> int:
    """Derive the claims of every asset that has a prediction or a decision; returns how many assets.

    Asked to stop, it leaves the rest, and the next one begins again.
    """
    waiting = list(Tag.objects.filter(derive_pending=True).values_list("pk", flat=True))
    words = vocabulary()
    with_facts = Asset.objects.filter(
        Exists(Prediction.objects.filter(asset=OuterRef("pk")))
        | Exists(Decision.objects.filter(asset=OuterRef("pk")))
    ).order_by("id")
    count = last = 0
    while ids := list(with_facts.filter(pk__gt=last).values_list("pk", flat=True)[:_AT_ONCE]):
        if should_stop():
            return count
        count += len(assets_derive(asset_ids=ids, words=words))
        last = ids[-1]
    # Only now: whoever is stopped half-way begins again.
    Tag.objects.filter(pk__in=waiting).update(derive_pending=False)
    return count


def assets_derive(*, asset_ids: Collection[int], words: Vocabulary) -> list[AssetClaims]:
    """Derive the claims of assets again and store what differs, with their search columns and embeddings.

    Locks them until the caller's transaction ends. Assets that are gone are left out; what no version
    answered that is not withdrawn follows from decisions alone, and has no ``model_version_id``.
    """
    with transaction.atomic():
        # In the order of their ids, as whoever locks several does: nobody waits in a circle.
        versions = dict(
            Asset.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk__in=asset_ids)
            .order_by("id")
            .values_list("pk", "current_version_id")
        )
        newest = {
            asset_id: (dict(zip(tag_ids, scores, strict=True)), model_version_id, prediction_id)
            for asset_id, model_version_id, tag_ids, scores, prediction_id in rows_read(
                _NEWEST, list(versions), list(versions.values())
            )
        }
        decisions = decisions_of(versions)
        claims = []
        for asset_id in versions:
            scores, model_version_id, _ = newest.get(asset_id, ({}, None, None))
            derived = derive(scores=scores, vocabulary=words.rules, decisions=decisions.get(asset_id, {}))
            claims.append(AssetClaims(asset_id, derived, model_version_id))
        claims_store(asset_ids=versions, claims=claims)
        rows_update(_SEARCH_IDS, [{"id": each.asset_id, "tag_ids": each.derived.tag_ids} for each in claims])
        likeness_follow(
            predictions=[prediction_id for _, _, prediction_id in newest.values()],
            unanswered=versions.keys() - newest.keys(),
        )
    return claims


def version_seen(*, asset: Asset) -> int | None:
    """The model version that the claims of an asset follow from at this moment; None without any.

    Those of a version that was withdrawn are seen until they are derived again.
    """
    rows = rows_read(_SEEN, asset.pk)
    return rows[0][0] if rows else None


def decisions_of(asset_ids: Collection[int]) -> dict[int, dict[int, Said]]:
    """What people said: asset → tag → decision; assets without any are left out."""
    said: dict[int, dict[int, Said]] = {}
    for asset_id, tag_id, *decision in rows_read(_DECISIONS, list(asset_ids)):
        said.setdefault(asset_id, {})[tag_id] = Said(*decision)
    return said


# ------------------------------------------------------------------ storing


def claims_store(*, asset_ids: Collection[int], claims: Iterable[AssetClaims]) -> None:
    """Make the claims of these assets what was derived; what is stored already is left alone.

    The caller holds the assets' rows. ``claims`` may be derived while they are asked for: the database
    takes in the rows before meanwhile.
    """
    stored = _stored(asset_ids)
    changed: list[dict[str, object]] = []

    def new_rows() -> Iterator[tuple[object, ...]]:
        for asset_id, derived, model_version_id in claims:
            for tag_id, state, source, score, threshold, decided_by, decided_at in derived.claims:
                of_model = model_version_id if score is not None else None
                row = (state, source, score, threshold, of_model, decided_by, decided_at)
                before = stored.pop((asset_id, tag_id), None)
                if before is None:
                    yield (asset_id, tag_id, *row)
                elif before[1:] != row:
                    changed.append({"id": before[0], **dict(zip(_FIELDS, row, strict=True))})

    rows_copy("tagging_claim", _COLUMNS, new_rows())
    rows_update(_CHANGE, changed)
    if stored:
        with connection.cursor() as cursor:
            cursor.execute(_DELETE, [[before[0] for before in stored.values()]])


def _stored(asset_ids: Collection[int]) -> dict[tuple[int, int], tuple[object, ...]]:
    """(asset, tag) → the id of its claim, then what it says, in the order of ``_FIELDS``."""
    return {(row[0], row[1]): row[2:] for row in rows_read(_STORED, list(asset_ids))}


_COLUMNS: Mapping[str, str] = {
    "asset_id": "int8",
    "tag_id": "int4",
    "state": "varchar",
    "source": "varchar",
    "score": "float8",
    "threshold": "float8",
    "model_version_id": "int8",
    "decided_by_id": "int4",
    "decided_at": "timestamptz",
}
_FIELDS = tuple(_COLUMNS)[2:]
_NEWEST = """
SELECT DISTINCT ON (fact.asset_id) fact.asset_id, fact.model_version_id, fact.tag_ids, fact.scores,
    fact.id
FROM tagging_prediction AS fact JOIN tagging_modelversion AS model ON model.id = fact.model_version_id
WHERE fact.asset_id = ANY(%s) AND fact.asset_version_id = ANY(%s) AND fact.purpose IN ('live', 'campaign')
AND model.withdrawn_at IS NULL
ORDER BY fact.asset_id, fact.generation DESC
"""
_SEEN = """
SELECT fact.model_version_id FROM tagging_prediction AS fact
JOIN assets_asset AS asset ON asset.id = fact.asset_id AND asset.current_version_id = fact.asset_version_id
JOIN tagging_modelversion AS model ON model.id = fact.model_version_id
WHERE asset.id = %s AND fact.purpose IN ('live', 'campaign')
AND (model.withdrawn_at IS NULL OR model.followed_to < asset.id)
ORDER BY fact.generation DESC LIMIT 1
"""
_STORED = f"SELECT asset_id, tag_id, id, {', '.join(_FIELDS)} FROM tagging_claim WHERE asset_id = ANY(%s)"  # noqa: S608  # names of this module only
_DECISIONS = """
SELECT asset_id, tag_id, verdict, decided_by_id, decided_at FROM tagging_decision WHERE asset_id = ANY(%s)
"""
# Django writes a parameter for each of them, which costs a tenth of deriving again.
_DELETE = "DELETE FROM tagging_claim WHERE id = ANY(%s)"
_CHANGE = """
UPDATE tagging_claim AS claim SET
    state = wanted.state, source = wanted.source, score = wanted.score, threshold = wanted.threshold,
    model_version_id = wanted.model_version_id, decided_by_id = wanted.decided_by_id,
    decided_at = wanted.decided_at
FROM json_to_recordset(%s) AS wanted (id bigint, state text, source text, score float8, threshold float8,
    model_version_id bigint, decided_by_id int, decided_at timestamptz)
WHERE claim.id = wanted.id
"""
_SEARCH_IDS = """
UPDATE assets_asset AS asset SET tag_ids = found.tag_ids
FROM json_to_recordset(%s) AS found (id bigint, tag_ids int[])
WHERE asset.id = found.id AND asset.tag_ids <> found.tag_ids
"""
