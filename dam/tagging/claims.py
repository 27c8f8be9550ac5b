"""Claims: derived from predictions and decisions, for any number of assets at once, and stored."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.tagging.bulk_sql import rows_copy, rows_read, rows_update
from dam.tagging.derive import Derived, Said, derive
from dam.tagging.models import Claim, Decision, Prediction, Tag
from dam.tagging.vocabulary import Vocabulary, vocabulary

# What people see follows from these; the answers to the other purposes are seen by nobody.
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
    for derived in _derive_again([asset.pk], words or vocabulary()):
        asset.tag_ids = list(derived.tag_ids)
        return derived
    raise Asset.DoesNotExist


def claims_derive_all() -> int:
    """Derive the claims of every asset that has a prediction or a decision; returns how many assets."""
    waiting = list(Tag.objects.filter(derive_pending=True).values_list("pk", flat=True))
    words = vocabulary()
    with_facts = Asset.objects.filter(
        Exists(Prediction.objects.filter(asset=OuterRef("pk")))
        | Exists(Decision.objects.filter(asset=OuterRef("pk")))
    ).order_by("id")
    count = last = 0
    while ids := list(with_facts.filter(pk__gt=last).values_list("pk", flat=True)[:_AT_ONCE]):
        count += len(_derive_again(ids, words))
        last = ids[-1]
    # Only now: whoever is stopped half-way begins again.
    Tag.objects.filter(pk__in=waiting).update(derive_pending=False)
    return count


def _derive_again(asset_ids: Collection[int], words: Vocabulary) -> list[Derived]:
    with transaction.atomic():
        # In the order of their ids, as whoever locks several does: nobody waits in a circle.
        versions = dict(
            Asset.objects.select_for_update(no_key=True, of=("self",))
            .filter(pk__in=asset_ids)
            .order_by("id")
            .values_list("pk", "current_version_id")
        )
        newest = {
            prediction.asset_id: prediction
            for prediction in Prediction.objects.filter(
                asset__in=versions, asset_version__in=versions.values(), purpose__in=LIVE_PURPOSES
            )
            .order_by("asset_id", "-generation")
            .distinct("asset_id")
            .defer("embedding")
        }
        decisions = decisions_of(versions)
        claims = []
        for asset_id in versions:
            fact = newest.get(asset_id)
            derived = derive(
                scores=dict(zip(fact.tag_ids, fact.scores, strict=True)) if fact else {},
                vocabulary=words.rules,
                decisions=decisions.get(asset_id, {}),
            )
            claims.append(AssetClaims(asset_id, derived, fact.model_version_id if fact else None))
        claims_store(asset_ids=versions, claims=claims)
        rows_update(_SEARCH_IDS, [{"id": each.asset_id, "tag_ids": each.derived.tag_ids} for each in claims])
    return [each.derived for each in claims]


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
        Claim.objects.filter(pk__in=[before[0] for before in stored.values()]).delete()


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
_STORED = f"SELECT asset_id, tag_id, id, {', '.join(_FIELDS)} FROM tagging_claim WHERE asset_id = ANY(%s)"  # noqa: S608  # names of this module only
_DECISIONS = """
SELECT asset_id, tag_id, verdict, decided_by_id, decided_at FROM tagging_decision WHERE asset_id = ANY(%s)
"""
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
