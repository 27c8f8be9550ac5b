"""Jobs for the relay, relays in threads, and what they brought to the broker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import connection

from dam.jobs.models import TaggingJob
from dam.loops import relay
from pipeline.messages import TagRequest
from pipeline.ports import Transport
from pipeline.topology import REQUEST_QUEUES
from tests.dam.factories import TaggingJobFactory

SOON = 60.0


def queue_jobs(count: int, *, bulk: bool = True, purpose: str = "live") -> list[int]:
    """Queued jobs of one asset, made by one statement; their ids."""
    first = TaggingJobFactory(bulk=bulk, purpose=purpose)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_taggingjob (asset_id, asset_version_id, generation, purpose, bulk, "
            "model_label, blob_key, sha256, media_type, request_id, state, attempts, reason, detail, "
            "created_at) SELECT asset_id, asset_version_id, number, purpose, bulk, model_label, blob_key, "
            "sha256, media_type, request_id, state, 0, '', '', now() "
            "FROM jobs_taggingjob, generate_series(2, %s) AS number WHERE id = %s RETURNING id",
            [count, first.pk],
        )
        return [first.pk, *(row[0] for row in cursor.fetchall())]


def states() -> Counter[str]:
    return Counter(TaggingJob.objects.values_list("state", flat=True))


def take(broker: Transport, queues: Sequence[str] = REQUEST_QUEUES) -> list[int]:
    """Take and acknowledge what is there; the ids of the jobs."""
    taken: list[int] = []
    with broker.consumer(queues) as consumer:
        while batch := consumer.receive(limit=500, wait_s=0.1):
            taken += [TagRequest.model_validate_json(delivery.body).job_id for delivery in batch]
            consumer.ack(batch)
    return taken


@contextmanager
def in_threads(*works: Callable[[], None]) -> Iterator[None]:
    """Run each in a thread; they end by themselves after the block, and well."""
    ended: list[bool] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
            ended.append(True)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(SOON)
    assert len(ended) == len(works)


@contextmanager
def relays(count: int = 1) -> Iterator[None]:
    stop = threading.Event()
    with in_threads(*[lambda: relay.run(stop)] * count):
        try:
            yield
        finally:
            stop.set()


def wake() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('vitrine_jobs', '')")
