"""The results writer beside bare COPY of the rows that it made, in turns on one database.

The writer parses answers, locks and closes jobs, derives claims, writes predictions, claims, search
columns and renditions, and commits a batch at a time. Bare COPY writes the same predictions and claims,
formatted beforehand, into tables of the same columns and indexes without foreign keys, with a commit for
each batch; and once more into tables that check the same foreign keys. Answers are of a null predictor:
random scores of a vocabulary of 1,120 tags.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import structlog
from django.db import connection, transaction

from benchmarks.catalogue import catalogue, import_pictures
from pipeline.messages import (
    LabelScore,
    ModelIdentity,
    Outcome,
    PictureFacts,
    Purpose,
    Rendition,
    TagResult,
    encode_embedding,
)
from pipeline.ports import Delivery
from pipeline.topology import RESULTS

ROUNDS = 5
RESULTS_PER_ROUND = 2_500
ABOVE_THRESHOLD = 20
BELOW_THRESHOLD = 20
"""Real pictures through the default model: 6 to 41 scores above the worker's floor, 0 to 3 of them shown."""
EMBEDDING = 320
PLACEHOLDER = "data:image/jpeg;base64," + "A" * 700

_MODEL = ModelIdentity(name="null", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")
# Both of the catalogue's own columns and indexes; a vector index is no part of either.
_TABLES = ("tagging_prediction", "tagging_claim")
_PEERS = ("bare", "keyed")


class Waiting:
    """A consumer that has all at hand, as one whose broker is ahead of the writer; it knows no refusal."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._left = list(deliveries)
        self.count = 0

    def receive(self, *, limit: int, wait_s: float) -> list[Delivery]:  # noqa: ARG002  # nothing to wait for
        """The next of them."""
        batch, self._left = self._left[:limit], self._left[limit:]
        return batch

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Count them."""
        self.count += len(deliveries)


def register_tags() -> tuple[list[str], list[str]]:
    """A tree of 1,000 leaves under 100 kinds under 20; returns leaves and kinds."""
    from dam.tagging.vocabulary import VocabularyEntry, vocabulary_register  # noqa: PLC0415

    roots = [VocabularyEntry(slug=f"root-{i}", name=f"root {i}", kind="ancestor") for i in range(20)]
    kinds = [
        VocabularyEntry(slug=f"kind-{i}", name=f"kind {i}", kind="ancestor", parents=[f"root-{i % 20}"])
        for i in range(100)
    ]
    leaves = [
        VocabularyEntry(slug=f"leaf-{i}", name=f"leaf {i}", parents=[f"kind-{i % 100}"]) for i in range(1000)
    ]
    vocabulary_register(entries=[*roots, *kinds, *leaves])
    return [leaf.slug for leaf in leaves], [kind.slug for kind in kinds]


def answers(jobs: Sequence[object], leaves: list[str], kinds: list[str]) -> list[Delivery]:
    """One answer for each job, as a worker sends it."""
    chance = random.Random(len(jobs))
    vectors = np.random.default_rng(1).normal(size=(len(jobs), EMBEDDING)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = []
    for job, vector in zip(jobs, vectors, strict=True):
        seen = chance.sample(leaves, 12) + chance.sample(kinds, ABOVE_THRESHOLD - 12)
        scores = {label: chance.uniform(0.5, 1) for label in seen}
        unsure = [label for label in chance.sample(leaves, BELOW_THRESHOLD + 12) if label not in scores]
        scores |= {label: chance.uniform(0.01, 0.4) for label in unsure[:BELOW_THRESHOLD]}
        body = TagResult(
            job_id=job.pk,  # type: ignore[attr-defined]
            generation=1,
            purpose=Purpose.LIVE,
            sha256=job.sha256,  # type: ignore[attr-defined]
            outcome=Outcome.TAGGED,
            model=_MODEL,
            scores=tuple(
                LabelScore(label=label, score=float(np.float32(score)))
                for label, score in sorted(scores.items(), key=lambda pair: -pair[1])
            ),
            embedding_f32=encode_embedding(vector),
            picture=PictureFacts(width=6000, height=4000, placeholder=PLACEHOLDER),
            renditions=tuple(
                Rendition(name=name, key=f"{job.blob_key}.{name}.jpg", width=width, height=width * 2 // 3)  # type: ignore[attr-defined]
                for name, width in (("grid", 480), ("preview", 1600))
            ),
            stage_ms={"read": 3.0, "decode": 40.0, "predict": 17.0},
        ).model_dump_json()
        made.append(Delivery(RESULTS, body.encode(), str(job), 1, None))
    return made


def record(deliveries: Sequence[Delivery], batch: int) -> float:
    """Seconds that the writer takes."""
    from dam.loops.results import record_batch  # noqa: PLC0415

    consumer = Waiting(deliveries)
    began = time.perf_counter()
    while taken := consumer.receive(limit=batch, wait_s=0):
        record_batch(consumer, taken)  # type: ignore[arg-type]
    spent = time.perf_counter() - began
    assert consumer.count == len(deliveries)
    return spent


def rows_of(assets: Sequence[object], batch: int) -> list[list[bytes]]:
    """What the writer stored for these assets: of each batch, what COPY takes for each table."""
    ids = [asset.pk for asset in assets]  # type: ignore[attr-defined]
    batches: list[list[bytes]] = []
    with connection.cursor() as cursor:
        for first in range(0, len(ids), batch):
            batches.append([])
            for table in _TABLES:
                query = f"COPY (SELECT * FROM {table} WHERE asset_id = ANY(%s) ORDER BY id) TO STDOUT"
                with cursor.copy(query, [ids[first : first + batch]]) as copy:
                    batches[-1].append(b"".join(bytes(block) for block in copy))
    return batches


def bare_copy(batches: list[list[bytes]], peer: str) -> float:
    """Seconds that COPY of the same rows takes, committed batch by batch."""
    began = time.perf_counter()
    for blocks in batches:
        with transaction.atomic(), connection.cursor() as cursor:
            for table, block in zip(_TABLES, blocks, strict=True):
                with cursor.copy(f"COPY {peer}_{table} FROM STDIN") as copy:
                    copy.write(block)
    return time.perf_counter() - began


def make_peers() -> None:
    """Tables of the same columns and indexes: ``bare_…`` without foreign keys, ``keyed_…`` with the same."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            for peer in _PEERS:
                cursor.execute(f"CREATE TABLE {peer}_{table} (LIKE {table} INCLUDING ALL)")
            cursor.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE conrelid = %s::regclass AND contype = 'f'",
                [table],
            )
            for (key,) in cursor.fetchall():
                cursor.execute(f"ALTER TABLE keyed_{table} ADD {key}")


def main() -> None:
    """Print what the writer and bare COPY reach, and that a second delivery changes nothing."""
    with catalogue():
        measure()


def measure() -> None:
    from dam.jobs.ledger import ledger  # noqa: PLC0415
    from dam.loops.results import BATCH  # noqa: PLC0415
    from dam.telemetry.process import collect_seldom  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    collect_seldom()
    leaves, kinds = register_tags()
    make_peers()
    assets, jobs = import_pictures(RESULTS_PER_ROUND * (ROUNDS + 1), published=True)
    deliveries = answers(jobs, leaves, kinds)
    rates: dict[str, list[float]] = {"writer": [], **{peer: [] for peer in _PEERS}}
    for number in range(ROUNDS + 1):
        chosen = slice(number * RESULTS_PER_ROUND, (number + 1) * RESULTS_PER_ROUND)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        seconds = {"writer": record(deliveries[chosen], BATCH)}
        rows = rows_of(assets[chosen], BATCH)
        seconds |= {peer: bare_copy(rows, peer) for peer in _PEERS}
        if number:  # the first round warms all
            for name, spent in seconds.items():
                rates[name].append(RESULTS_PER_ROUND / spent)
    before = _counts()
    again = RESULTS_PER_ROUND / record(deliveries[:RESULTS_PER_ROUND], BATCH)
    assert _counts() == before, "a second delivery changed something"
    assert ledger().agrees
    assert ledger().tagged == len(assets)
    ratios = {
        peer: median(ours / theirs for ours, theirs in zip(rates["writer"], rates[peer], strict=True))
        for peer in _PEERS
    }
    print(
        f"answers of {ABOVE_THRESHOLD} tags above their threshold and {BELOW_THRESHOLD} below, with "
        f"an embedding of {EMBEDDING}, {len(deliveries[0].body):,} bytes;\n"
        f"{before[1] / len(assets):.1f} claims each; {BATCH} a batch; "
        f"{ROUNDS} rounds in turn of {RESULTS_PER_ROUND:,}:\n"
        f"  writer {median(rates['writer']):,.0f} results/s\n"
        f"  bare COPY {median(rates['bare']):,.0f}/s, ratio {ratios['bare']:.2f} (target: at least 0.30)\n"
        f"  COPY with the foreign keys {median(rates['keyed']):,.0f}/s, ratio {ratios['keyed']:.2f}\n"
        f"  the same answers again {again:,.0f}/s, changing nothing"
    )


def _counts() -> tuple[int, ...]:
    with connection.cursor() as cursor:
        counts = []
        for table in _TABLES:
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts.append(cursor.fetchone()[0])
    return tuple(counts)
