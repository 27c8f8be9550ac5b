"""What the results writer reads of a delivery, before anything is asked of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dam.tagging.services import Answer
from pipeline.messages import FailureReason, Outcome, TagRequest, TagResult
from pipeline.ports import Delivery
from pipeline.telemetry.tracing import accepted_traceparent
from pipeline.topology import DEAD_SUFFIX, RESULTS


class Entry(NamedTuple):
    """A delivery and what it says; without an answer there is a complaint instead."""

    delivery: Delivery
    answer: Answer | None
    complaint: str = ""
    request_id: str = ""
    traceparent: str = ""

    @property
    def is_dead_letter(self) -> bool:
        """Whether the queue gave it up."""
        return self.delivery.queue.endswith(DEAD_SUFFIX)


def read_all(deliveries: Sequence[Delivery]) -> list[Entry]:
    """What deliveries say; a dead letter says that its job failed."""
    return [_read(delivery) for delivery in deliveries]


def _read(delivery: Delivery) -> Entry:
    try:
        if not delivery.queue.endswith(DEAD_SUFFIX):
            answered = TagResult.model_validate_json(delivery.body)
            return _entry(delivery, answered, answered)
        kind = TagResult if delivery.queue.startswith(RESULTS) else TagRequest
        dead = kind.model_validate_json(delivery.body)
    except ValueError as error:
        return Entry(delivery, None, complaint(error))
    result = TagResult(
        job_id=dead.job_id,
        generation=dead.generation,
        purpose=dead.purpose,
        sha256=dead.sha256,
        outcome=Outcome.FAILED,
        reason=FailureReason.DEAD_LETTERED,
        # PostgreSQL keeps no NUL in a text.
        detail=f"given up: {delivery.dead_reason or 'delivered too often'}".replace("\0", ""),
    )
    return _entry(delivery, result, dead)


def _entry(delivery: Delivery, result: TagResult, read: TagRequest | TagResult) -> Entry:
    return Entry(
        delivery,
        Answer.of(result),
        request_id=read.request_id,
        traceparent=accepted_traceparent(read.traceparent),
    )


def complaint(error: Exception) -> str:
    """Why an answer cannot be recorded, for people."""
    return str(error).strip()[:500] or type(error).__name__
