"""What the results writer reads of a delivery, a batch ahead of what it records.

Reading is the half of the writer's own work that needs nothing of the catalogue, so it is done while the
catalogue is busy with the batch before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Self

from dam.tagging.services import Answer
from pipeline.messages import FailureReason, Outcome, TagRequest, TagResult
from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.topology import DEAD_SUFFIX, RESULTS


class Entry(NamedTuple):
    """A delivery and what it says; without an answer there is a complaint instead."""

    delivery: Delivery
    answer: Answer | None
    complaint: str = ""

    @property
    def is_dead_letter(self) -> bool:
        """Whether the queue gave it up."""
        return self.delivery.queue.endswith(DEAD_SUFFIX)


class _Taken(NamedTuple):
    """A batch; without ``entries`` it is read when its turn comes."""

    deliveries: Sequence[Delivery] = ()
    entries: Future[list[Entry]] | None = None


class ReadingAhead:
    """Receives batches, and reads each in a thread of its own while the caller records the one before.

    So two batches are held un-acked. A redelivered message, which comes alone because it may have killed
    a process, is read and recorded while nothing else is being read or recorded.

    Args:
        consumer: of the results; acknowledging and rejecting are the caller's.
        limit: deliveries of a batch.
    """

    def __init__(self, consumer: Consumer, *, limit: int) -> None:
        self._consumer = consumer
        self._limit = limit
        self._ahead = _Taken()
        self._thread = ThreadPoolExecutor(1, "reading")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def receive(self, *, wait_s: float) -> list[Entry]:
        """The next batch, read; what comes after it is being read from now on.

        Waits up to ``wait_s`` seconds for the first delivery. Empty list: nothing came.

        Raises:
            TransportDownError: the broker does not answer, and nothing is in hand.
        """
        taken = self._ahead if self._ahead.deliveries else self._take(wait_s)
        self._ahead = _Taken()
        if taken.entries is None:
            return read_all(taken.deliveries)
        # What is in hand is recorded first; the next call asks the broker again.
        with contextlib.suppress(TransportDownError):
            self._ahead = self._take(0)
        return taken.entries.result()

    def _take(self, wait_s: float) -> _Taken:
        deliveries = self._consumer.receive(limit=self._limit, wait_s=wait_s)
        if any(delivery.delivery_count > 1 for delivery in deliveries):
            return _Taken(deliveries)
        return _Taken(deliveries, self._thread.submit(read_all, deliveries) if deliveries else None)


def read_all(deliveries: Sequence[Delivery]) -> list[Entry]:
    """What deliveries say; a dead letter says that its job failed."""
    return [_read(delivery) for delivery in deliveries]


def _read(delivery: Delivery) -> Entry:
    try:
        if not delivery.queue.endswith(DEAD_SUFFIX):
            return Entry(delivery, Answer.of(TagResult.model_validate_json(delivery.body)))
        kind = TagResult if delivery.queue.startswith(RESULTS) else TagRequest
        dead = kind.model_validate_json(delivery.body)
    except ValueError as error:
        return Entry(delivery, None, complaint(error))
    result = TagResult(
        job_id=dead.job_id,
        generation=dead.generation,
        purpose=dead.purpose,
        outcome=Outcome.FAILED,
        reason=FailureReason.DEAD_LETTERED,
        # PostgreSQL keeps no NUL in a text.
        detail=f"given up: {delivery.dead_reason or 'delivered too often'}".replace("\0", ""),
        request_id=dead.request_id,
    )
    return Entry(delivery, Answer.of(result))


def complaint(error: Exception) -> str:
    """Why an answer cannot be recorded, for people."""
    return str(error).strip()[:500] or type(error).__name__
