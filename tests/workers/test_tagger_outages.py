"""A worker waits for a model or a blob store that is away, and loses nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from prometheus_client import REGISTRY

from pipeline.messages import Outcome
from pipeline.ports import Message, Publisher, QueueFullError, Transport
from pipeline.topology import BULK, INTERACTIVE, RESULTS
from tests.pipeline import pictures
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import Desk, wait_until
from tests.workers.running_worker import Start


def test_an_outage_of_the_model_costs_no_attempt_and_no_second_decoding(
    start_worker: Start, desk: Desk, model: ColourModel, blobs: CountingBlobStore
) -> None:
    worker = start_worker()
    desk.answers(desk.ask(pictures.jpeg(seed=1)))
    reads = blobs.reads
    model.announced = dict(model.served)  # the spec is known, the answer is not
    model.served = {}
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(2, 6)), queue=BULK)
    wait_until(lambda: worker.health.readiness() != "", "the worker notices")
    wait_until(lambda: blobs.reads == reads + 4, "everything is decoded")
    time.sleep(1)  # some more attempts
    assert not desk.has_answers()
    assert worker.health.liveness() == ""

    model.served = model.announced
    results = desk.answers(jobs)

    assert {result.outcome for result in results} == {Outcome.TAGGED}
    assert blobs.reads == reads + 4, "it decoded again"
    assert desk.transport.depths()[f"{BULK}.dead"].ready == 0
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready again")


def test_an_unmounted_blob_store_is_waited_for(
    start_worker: Start, desk: Desk, blobs: CountingBlobStore, tmp_path: Path
) -> None:
    worker = start_worker()
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready")
    requests = [desk.request(pictures.jpeg(seed=i)) for i in range(3)]
    (tmp_path / "blobs").rename(tmp_path / "unmounted")
    jobs = desk.ask(*requests)
    wait_until(lambda: worker.health.readiness() != "", "the worker notices")

    (tmp_path / "unmounted").rename(tmp_path / "blobs")

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}


def test_a_worker_takes_nothing_before_it_knows_a_model(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    model.down = True
    worker = start_worker()
    jobs = desk.ask(pictures.jpeg())
    wait_until(lambda: "switched off" in worker.health.readiness(), "the worker tells why")
    assert desk.transport.depths()[INTERACTIVE].ready == 1

    model.down = False

    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED


def test_a_stop_during_an_outage_gives_the_messages_back_after_the_deadline(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    worker = start_worker(shutdown_deadline_s=0.5)
    wait_until(lambda: worker.health.readiness() == "", "the worker is ready")
    model.down = True
    jobs = desk.ask(pictures.jpeg())
    wait_until(lambda: worker.health.readiness() != "", "the worker holds it")

    worker.stop()

    assert worker.finished is False
    assert not desk.has_answers()
    model.down = False
    start_worker()
    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED


def test_a_stop_while_a_picture_is_fetched_for_ever_gives_up_at_the_deadline(
    start_worker: Start, desk: Desk, blobs: CountingBlobStore
) -> None:
    reading, go_on = threading.Event(), threading.Event()
    read = blobs.read

    def read_slowly(key: str) -> bytes:
        reading.set()
        go_on.wait(60)
        return read(key)

    blobs.read = read_slowly  # type: ignore[method-assign]
    worker = start_worker(shutdown_deadline_s=0.5, decode_threads=1)
    jobs = desk.ask(pictures.jpeg(seed=1), pictures.jpeg(seed=2), queue=BULK)
    assert reading.wait(60)

    worker.stop()
    go_on.set()

    assert worker.finished is False
    start_worker()
    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}


def test_a_stop_of_a_worker_that_holds_nothing_does_not_wait_for_what_is_down(
    start_worker: Start, model: ColourModel
) -> None:
    model.down = True
    worker = start_worker(shutdown_deadline_s=600)
    wait_until(lambda: "waiting for the model" in worker.health.readiness(), "the worker waits")

    worker.stop()

    assert worker.finished is True


class NarrowPublisher:
    """Takes the odd positions only while the queue is full."""

    def __init__(self, publisher: Publisher, narrow: NarrowTransport) -> None:
        self._publisher = publisher
        self._narrow = narrow

    def publish(self, messages: Sequence[Message]) -> None:
        refused = frozenset(range(0, len(messages), 2)) if self._narrow.full else frozenset()
        taken = [message for index, message in enumerate(messages) if index not in refused]
        self._publisher.publish(taken)
        self._narrow.taken += [message.message_id for message in taken]
        if refused:
            raise QueueFullError(refused, frozenset({RESULTS}))

    def close(self) -> None:
        self._publisher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NarrowTransport:
    """A real transport whose queue of results may be full, exactly as far as a test says."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.full = True
        self.taken: list[str] = []
        """Ids of the messages that were stored, in that order."""

    def publisher(self) -> NarrowPublisher:
        return NarrowPublisher(self._transport.publisher(), self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def test_a_full_queue_of_results_is_told_again_only_what_it_refused(
    start_worker: Start, desk: Desk, transport: Transport, blobs: CountingBlobStore, model: ColourModel
) -> None:
    narrow = NarrowTransport(transport)
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(40)), queue=BULK)
    worker = start_worker(over=narrow, batch_size=40)
    wait_until(lambda: f"full: {RESULTS}" in worker.health.readiness(), "the worker tells why it waits")
    held = transport.depths()[BULK].held
    assert held == len(jobs)

    narrow.full = False

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}
    wait_until(desk.everything_acknowledged, "acknowledgement")
    assert sorted(narrow.taken) == sorted(f"{number}-1" for number in jobs)
    assert blobs.reads == len(jobs)
    assert model.asked == [("", len(jobs))]


def test_a_label_that_nobody_serves_is_dead_lettered_and_blocks_nobody(
    start_worker: Start, desk: Desk
) -> None:
    withdrawn = desk.request(pictures.jpeg(seed=1), model_label="withdrawn")
    desk.ask(withdrawn, queue=BULK)
    others = desk.ask(pictures.jpeg(seed=2), queue=BULK)

    start_worker(unknown_label_patience_s=0.5)

    assert desk.answers(others)[0].outcome is Outcome.TAGGED
    letter = desk.dead_letter(BULK)
    assert letter.message_id == str(withdrawn.job_id)
    assert "withdrawn" in letter.dead_reason


def test_a_model_server_that_has_loaded_nothing_yet_says_nothing_of_a_label(
    start_worker: Start, desk: Desk, model: ColourModel
) -> None:
    """It answers that it knows no such version, however long its start takes; that is an outage."""
    model.served = served = {"": model_spec(), "champion": model_spec()}
    start_worker(unknown_label_patience_s=0.2)
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    before = failed_answers()
    model.served = {}
    jobs = desk.ask(desk.request(pictures.jpeg(seed=1), model_label="champion"))
    # The pauses between the attempts alone are longer than the patience.
    wait_until(lambda: failed_answers() >= before + 5, "attempts")

    model.served = served

    assert desk.answers(jobs)[0].outcome is Outcome.TAGGED


def failed_answers() -> float:
    return REGISTRY.get_sample_value("vitrine_dependency_failures_total", {"stage": "answer"}) or 0.0
