"""The far end of the queue: takes requests, makes answers, records them, and runs a loop in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from django.db import connection

from dam.loops import results
from pipeline.messages import (
    FailureReason,
    LabelScore,
    ModelIdentity,
    Outcome,
    Purpose,
    TagRequest,
    TagResult,
    encode_embedding,
)
from pipeline.ports import Transport
from pipeline.topology import REQUEST_QUEUES

SOON = 20.0


def requests(broker: Transport, queues: Sequence[str] = REQUEST_QUEUES) -> list[TagRequest]:
    with broker.consumer(queues) as consumer:
        deliveries = []
        while batch := consumer.receive(limit=100, wait_s=0.2):
            deliveries += batch
            consumer.ack(batch)
    return [TagRequest.model_validate_json(delivery.body) for delivery in deliveries]


def failed_answer(request: TagRequest) -> bytes:
    return (
        TagResult(
            job_id=request.job_id,
            generation=request.generation,
            purpose=Purpose.LIVE,
            sha256=request.sha256,
            outcome=Outcome.FAILED,
            reason=FailureReason.CORRUPT,
            detail="bad",
        )
        .model_dump_json()
        .encode()
    )


SCORES = (LabelScore(label="beagle", score=0.9), LabelScore(label="espresso", score=0.02))


def tagged_answer(request: TagRequest, **changes: object) -> bytes:
    result = TagResult(
        job_id=request.job_id,
        generation=request.generation,
        purpose=request.purpose,
        sha256=request.sha256,
        outcome=Outcome.TAGGED,
        model=ModelIdentity(name="m", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e"),
        scores=SCORES,
        embedding_f32=encode_embedding(np.full(320, 320**-0.5, dtype=np.float32)),
    )
    return result.model_copy(update=changes).model_dump_json().encode()


def nothing_waits(broker: Transport) -> bool:
    return all((depth.ready, depth.held) == (0, 0) for depth in broker.depths().values())


def record_all(broker: Transport) -> None:
    with broker.consumer(results.SOURCES) as consumer:
        while batch := consumer.receive(limit=100, wait_s=0.2):
            results.record_batch(consumer, batch)


@contextmanager
def running(loop: Callable[[threading.Event], None], stop: threading.Event | None = None) -> Iterator[None]:
    stop = stop or threading.Event()
    ended_well = []

    def work() -> None:
        try:
            loop(stop)
            ended_well.append(True)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=SOON)
    assert ended_well
