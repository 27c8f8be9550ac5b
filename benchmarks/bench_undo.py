"""Undoing a model version in a library of 100,000 pictures, and taking it back.

Version 1 tagged every picture, people decided on some, then version 2 tagged all again and 1,000 new ones.
Measured is what one process does after a version was withdrawn: derive again what people see, from the
answers that are stored; no pixels, no model. Checked is that claims and search ids are exactly those of
before, that no decision changed, and that the ledger agrees. Answers are random scores of a vocabulary of
1,120 tags.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
from django.db import connection, transaction
from pgvector import HalfVector

from benchmarks.bench_writer import register_tags
from benchmarks.catalogue import catalogue

ASSETS = 100_000
NEW = 1_000
"""Of these: only version 2 saw them."""
DECIDED = 0.05
ABOVE_THRESHOLD, BELOW_THRESHOLD = 20, 20
KINDS_OF_ANSWERS = 500
"""Different answers of a version, given in turn: to make each by itself takes longer than all else here."""

_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

_PICTURES = """
WITH made AS (
    SELECT n, lpad(to_hex(n), 64, '0') AS sha256 FROM generate_series(1, %(assets)s) AS n
), blobs AS (
    INSERT INTO assets_blob (id, sha256, size, media_type, key, created_at)
    OVERRIDING SYSTEM VALUE SELECT n, sha256, 5000000, 'image/jpeg', sha256, now() FROM made
), versions AS (
    INSERT INTO assets_assetversion
        (id, asset_id, number, blob_id, filename, header, placeholder, renditions, created_at)
    OVERRIDING SYSTEM VALUE SELECT n, n, 1, n, n || '.jpg', '{}', '', '{}', now() FROM made
)
INSERT INTO assets_asset
    (id, collection_id, current_version_id, filename, sort_name, title, description, width, height, size,
     media_type, camera, created_at, updated_at, state, reason, detail, generation, tag_ids)
OVERRIDING SYSTEM VALUE
SELECT n, %(collection)s, n, n || '.jpg', n || '.jpg', '', '', 6000, 4000, 5000000, 'image/jpeg', '',
    now(), now(), 'tagged', '', '', 2, '{}' FROM made
"""
_COLUMNS = (
    "asset_id, asset_version_id, model_version_id, generation, purpose, "
    "tag_ids, scores, embedding, created_at"
)
# What people see, in one line of text for each asset.
_SEEN = """
COPY (
    SELECT asset.id, asset.state, asset.tag_ids, claim.tag_id, claim.state, claim.source, claim.score,
        claim.threshold, claim.model_version_id, claim.decided_at
    FROM assets_asset AS asset LEFT JOIN tagging_claim AS claim ON claim.asset_id = asset.id
    ORDER BY asset.id, claim.tag_id
) TO STDOUT
"""
_SAID = "COPY (SELECT * FROM tagging_decision ORDER BY id) TO STDOUT"


def main() -> None:
    """Print how long each way takes."""
    with catalogue():
        measure()


def measure() -> None:
    from dam.jobs.ledger import ledger  # noqa: PLC0415
    from dam.tagging.models import ModelVersion  # noqa: PLC0415
    from dam.tagging.undo import version_reinstate, version_withdraw  # noqa: PLC0415

    tags = register_tags()
    make_pictures()
    first, second = [
        ModelVersion.objects.create(name="tagger", version=number, preprocess_id="p", vocabulary_id="v")
        for number in (1, 2)
    ]
    old = range(1, ASSETS - NEW + 1)
    answer(first.pk, old, generation=1, tags=tags)
    decide(old)
    derive("derived at first")
    before, said = printed(_SEEN), printed(_SAID)
    answer(second.pk, range(1, ASSETS + 1), generation=2, tags=tags)
    derive("derived from the second version")
    after = printed(_SEEN)
    assert after != before

    with transaction.atomic():
        version_withdraw(version=second)
    assert ledger().agrees, "in between"
    follow("undone")
    assert printed(_SEEN) == before.replace(b"\ttagged\t{}\t\\N", b"\tpending\t{}\t\\N")
    assert printed(_SAID) == said
    assert ledger().agrees
    assert (ledger().pending, ledger().jobs["queued"]) == (NEW, NEW)

    with transaction.atomic():
        version_reinstate(version=second)
    follow("taken back")
    assert printed(_SEEN) == after
    assert printed(_SAID) == said
    assert ledger().agrees
    print(
        f"  {said.count(bytes([10])):,} decisions as before, claims and search ids as before, ledger agrees"
    )


def make_pictures() -> None:
    from dam.assets.services import root_collection  # noqa: PLC0415

    with connection.cursor() as cursor:
        cursor.execute(_PICTURES, {"assets": ASSETS, "collection": root_collection().pk})
        cursor.execute("VACUUM ANALYZE")


def answer(version: int, assets: range, *, generation: int, tags: tuple[list[str], list[str]]) -> None:
    """Store an answer of the version for each of these."""
    from dam.tagging.models import Tag  # noqa: PLC0415

    ids = dict(Tag.objects.values_list("slug", "id"))
    leaves, kinds = [[ids[slug] for slug in slugs] for slugs in tags]
    chance = random.Random(version)
    kept = [answer_kind(chance, leaves, kinds) for _ in range(KINDS_OF_ANSWERS)]
    with (
        transaction.atomic(),
        connection.cursor() as cursor,
        cursor.copy(f"COPY tagging_prediction ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(
            ["int8", "int8", "int8", "int4", "varchar", "int4[]", "float8[]", "bytea", "timestamptz"]
        )
        for asset in assets:
            copy.write_row((asset, asset, version, generation, "live", *kept[asset % KINDS_OF_ANSWERS], _NOW))


def answer_kind(
    chance: random.Random, leaves: list[int], kinds: list[int]
) -> tuple[list[int], list[float], bytes]:
    """Tags, best first, their scores, and an embedding."""
    seen = chance.sample(leaves, 12) + chance.sample(kinds, ABOVE_THRESHOLD - 12)
    unsure = [tag for tag in chance.sample(leaves, BELOW_THRESHOLD + 12) if tag not in seen]
    scores = {tag: chance.uniform(0.5, 1) for tag in seen}
    scores |= {tag: chance.uniform(0.01, 0.4) for tag in unsure[:BELOW_THRESHOLD]}
    best_first = sorted(scores, key=lambda tag: -scores[tag])
    vector = np.random.default_rng(best_first[0]).normal(size=320).astype(np.float32)
    embedding = HalfVector(vector / np.linalg.norm(vector)).to_binary()
    return best_first, [scores[tag] for tag in best_first], embedding


def decide(assets: range) -> None:
    """People accepted or rejected a tag of some."""
    from dam.tagging.models import Decision, Tag  # noqa: PLC0415

    tags = list(Tag.objects.values_list("id", flat=True))
    chance = random.Random(0)
    Decision.objects.bulk_create(
        Decision(
            asset_id=asset,
            tag_id=chance.choice(tags),
            verdict=chance.choice(["accepted", "rejected"]),
            decided_at=_NOW,
        )
        for asset in assets
        if chance.random() < DECIDED
    )


def derive(what: str) -> None:
    from dam.tagging.services import claims_derive_all  # noqa: PLC0415

    timed(what, claims_derive_all)


def follow(what: str) -> None:
    from dam.tagging.undo import versions_follow  # noqa: PLC0415

    timed(what, versions_follow)


def timed(what: str, work: Callable[[], int]) -> None:
    """Print how long it took, for how many assets."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    began = time.perf_counter()
    count = work()
    spent = time.perf_counter() - began
    print(f"  {what}: {count:,} assets in {spent:.1f} s, {count / spent:,.0f}/s", flush=True)


def printed(query: str) -> bytes:
    """What the query gives, as text."""
    return b"".join(_blocks(query))


def _blocks(query: str) -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            yield bytes(block)
