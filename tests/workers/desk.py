"""The other end of the queue: asks for pictures to be tagged and collects the answers."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.messages import Purpose, TagRequest, TagResult
from pipeline.ports import BlobStore, Delivery, Message, Transport
from pipeline.topology import BULK, INTERACTIVE, REQUEST_QUEUES, RESULTS

PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


class Desk:
    def __init__(self, transport: Transport, blobs: BlobStore) -> None:
        self.transport = transport
        self.blobs = blobs
        self._numbers = itertools.count(1)
        self._publisher = transport.publisher()
        self._results = transport.consumer([RESULTS])
        self._found: dict[int, TagResult] = {}
        self.answers_received = 0
        """Counts what came twice twice."""

    def close(self) -> None:
        self._publisher.close()
        self._results.close()

    def request(self, data: bytes, **changes: object) -> TagRequest:
        """A request for these bytes, which are stored."""
        stored = self.blobs.put(io.BytesIO(data))
        number = next(self._numbers)
        request = TagRequest(
            job_id=number,
            generation=1,
            purpose=Purpose.LIVE,
            blob_key=stored.key,
            sha256=stored.sha256,
            media_type="image/jpeg",
            request_id=f"request {number}",
            requested_at=datetime.now(UTC),
        )
        return request.model_copy(update=changes)

    def ask(self, *pictures: bytes | TagRequest, queue: str = INTERACTIVE) -> list[int]:
        """Publish requests in one go; their job ids."""
        requests = [one if isinstance(one, TagRequest) else self.request(one) for one in pictures]
        self._publisher.publish(
            [Message(queue, request.model_dump_json().encode(), str(request.job_id)) for request in requests]
        )
        return [request.job_id for request in requests]

    def publish_raw(self, body: bytes, queue: str = BULK) -> None:
        self._publisher.publish([Message(queue, body, "raw")])

    def answers(self, job_ids: list[int], *, patience_s: float = PATIENCE_S) -> list[TagResult]:
        """One result for each job, in that order; a job that is answered twice counts once."""
        found = self._found
        deadline = time.monotonic() + patience_s
        while not set(job_ids) <= set(found):
            assert time.monotonic() < deadline, f"no answer for {sorted(set(job_ids) - set(found))}"
            self._collect()
        return [found[number] for number in job_ids]

    def answered(self) -> list[int]:
        """The jobs that are answered by now, first answers first."""
        while self._collect():
            pass
        return list(self._found)

    def waiting(self, queue: str = BULK) -> list[Delivery]:
        """What waits in a queue of requests; takes it out."""
        found = []
        with self.transport.consumer([queue]) as consumer:
            while deliveries := consumer.receive(limit=100, wait_s=2):
                found += deliveries
                consumer.ack(deliveries)
        return found

    def _collect(self) -> bool:
        deliveries = self._results.receive(limit=100, wait_s=0.5)
        for delivery in deliveries:
            result = TagResult.model_validate_json(delivery.body)
            self._found[result.job_id] = result
            self.answers_received += 1
        self._results.ack(deliveries)
        return bool(deliveries)

    def has_answers(self) -> bool:
        return self.transport.depths()[RESULTS].ready > 0

    def dead_letter(self, queue: str) -> Delivery:
        """The only dead letter of a queue."""
        with self.transport.consumer([f"{queue}.dead"]) as consumer:
            (letter,) = consumer.receive(limit=10, wait_s=PATIENCE_S)
            consumer.ack([letter])
            return letter

    def everything_acknowledged(self) -> bool:
        depths = self.transport.depths()
        return all(depths[queue].ready == depths[queue].held == 0 for queue in REQUEST_QUEUES)
