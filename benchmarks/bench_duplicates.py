"""Comparing new pictures with a library for near duplicates, at several sizes; and what looks cost a worker.

Fingerprints are drawn from those of the photographs of the tests: each with four of 64 bits changed at
random, so that bands are as crowded as those of photographs are. One in a hundred is a copy of another, two
bits away. Embeddings are random, those of copies nearly equal.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from django.db import connection

from benchmarks.catalogue import catalogue
from pipeline.ports import PreprocessSpec
from pipeline.preprocess import looks_of, prepare
from tests.plugins.photos import write_photos

SIZES = tuple(int(size) for size in os.environ.get("VITRINE_BENCH_SIZES", "10000,100000").split(","))
NEW = 1_000
"""Pictures that are compared at each size."""
_SPEC = PreprocessSpec(id="squash-260", width=260, height=260)
_EVERY_COPY = 100


def fingerprints_of_photographs() -> list[int]:
    """Of 400 crops; and prints what fingerprint and colours cost beside decoding."""
    found, spent = [], {"decode and shrink": [], "looks": []}
    with tempfile.TemporaryDirectory() as folder:
        for path in write_photos(Path(folder), 400, long_side=1920):
            data = path.read_bytes()
            began = time.perf_counter()
            picture = prepare(data, _SPEC)
            decoded = time.perf_counter()
            looks = looks_of(picture)
            spent["decode and shrink"].append(decoded - began)
            spent["looks"].append(time.perf_counter() - decoded)
            if looks.fingerprint is not None:
                found.append(looks.fingerprint)
    costs = ", ".join(f"{name} {statistics.median(each) * 1000:.2f} ms" for name, each in spent.items())
    print(f"a photograph of 1,920 pixels: {costs}")
    return found


def fill(count: int, sources: list[int]) -> None:
    """Bring the library to so many pictures with looks, compared already."""
    from dam.assets.services import root_collection  # noqa: PLC0415
    from dam.tagging.likeness import bands_of  # noqa: PLC0415

    chance, vectors = random.Random(count), np.random.default_rng(count)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(max(id), 0) FROM assets_asset")
        before, last = cursor.fetchone()
        cursor.execute(
            "INSERT INTO assets_asset (collection_id, filename, sort_name, title, description, width, height,"
            " size, media_type, camera, created_at, updated_at, state, reason, detail, generation, tag_ids)"
            " SELECT %s, n || '.jpg', n || '.jpg', '', '', 640, 480, 1000, 'image/jpeg', '', now(), now(),"
            " 'tagged', '', '', 1, '{}' FROM generate_series(1, %s) AS n RETURNING id",
            [root_collection().pk, count - before],
        )
        ids = [row[0] for row in cursor.fetchall()]
        # Comparing walks the bands and never the vectors, whose index takes an hour to fill one by one.
        cursor.execute("DROP INDEX IF EXISTS likeness_embedding")
        statement = (
            "COPY tagging_likeness (asset_id, embedding_id, embedding, fingerprint, bands, paired_at)"
            " FROM STDIN"
        )
        fingerprint, vector = 0, np.zeros(320)
        with cursor.copy(statement) as copy:
            for number, asset_id in enumerate(ids):
                if number % _EVERY_COPY:
                    fingerprint = _changed(chance.choice(sources), chance, 4)
                    vector = vectors.normal(size=320)
                    vector /= np.linalg.norm(vector)
                else:
                    fingerprint = _changed(fingerprint, chance, 2)
                text = "[" + ",".join(f"{value:.4f}" for value in vector) + "]"
                bands = "{" + ",".join(map(str, bands_of(fingerprint))) + "}"
                copy.write_row((asset_id, "bench", text, fingerprint, bands, "2026-01-01"))
        cursor.execute("ANALYZE tagging_likeness")
    assert len(ids) == count - before, last


def _changed(fingerprint: int, chance: random.Random, bits: int) -> int:
    for bit in chance.sample(range(64), bits):
        fingerprint ^= 1 << bit
    unsigned = fingerprint & (2**64 - 1)
    return unsigned - 2**64 if unsigned >> 63 else unsigned


def measure(count: int) -> None:
    """Compare the last pictures of a library with all of it."""
    from dam.curation.models import DuplicatePair  # noqa: PLC0415
    from dam.curation.pairing import AT_ONCE, pairs_find  # noqa: PLC0415
    from dam.tagging.models import Likeness  # noqa: PLC0415

    newest = list(Likeness.objects.order_by("-asset").values_list("asset", flat=True)[:NEW])
    Likeness.objects.filter(asset__in=newest).update(paired_at=None)
    before = DuplicatePair.objects.count()
    batches = []
    while True:
        began = time.perf_counter()
        if not pairs_find():
            break
        batches.append((time.perf_counter() - began) / AT_ONCE * 1000)
    found = DuplicatePair.objects.count() - before
    print(
        f"  among {count:>9,}: {statistics.median(batches):6.2f} ms for each new picture"
        f" (worst batch {max(batches):.2f}), {found:,} pairs",
        flush=True,
    )


def main() -> None:
    """Print the worker's cost, then that of comparing at each size."""
    sources = fingerprints_of_photographs()
    with catalogue():
        print(f"comparing {NEW:,} new pictures with all others:")
        for size in SIZES:
            fill(size, sources)
            measure(size)


if __name__ == "__main__":
    main()
