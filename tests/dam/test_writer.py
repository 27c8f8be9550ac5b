"""The writer takes answers and dead letters into the catalogue; faults lose and repeat nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from django.db import OperationalError, connection
from prometheus_client import REGISTRY

from dam.assets.models import Asset
from dam.jobs.ledger import ledger
from dam.jobs.models import DeadLetter
from dam.jobs.services import jobs_publish
from dam.loops import results
from dam.loops.backoff import Backoff
from dam.tagging.models import Claim, Prediction, Tag
from pipeline.messages import LabelScore, encode_embedding
from pipeline.ports import Delivery, Message
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, INTERACTIVE, REQUEST_QUEUES, RESULTS
from tests.dam.answers import (
    SCORES,
    SOON,
    failed_answer,
    nothing_waits,
    record_all,
    requests,
    running,
    tagged_answer,
)
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


class Outage:
    """The catalogue refuses every batch until it is over."""

    def __init__(self) -> None:
        self.met = threading.Event()
        self.is_over = threading.Event()
        self.refused = 0


@pytest.fixture
def outage(monkeypatch: pytest.MonkeyPatch) -> Outage:
    outage = Outage()
    record = results.answers_record

    def refuse_at_first(**answers: object) -> object:
        if not outage.is_over.is_set():
            outage.refused += 1
            outage.met.set()
            raise OperationalError("too many connections")
        return record(**answers)  # type: ignore[arg-type]

    monkeypatch.setattr(results, "answers_record", refuse_at_first)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)
    return outage


def _is_pending(asset: Asset) -> bool:
    asset.refresh_from_db()
    return asset.state == "pending"


def test_an_outage_of_the_catalogue_costs_an_answer_no_attempt(
    broker: PostgresTransport, upload: Callable[..., Asset], outage: Outage
) -> None:
    """The queue goes on while the catalogue refuses."""
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        publisher.publish([Message(RESULTS, failed_answer(request)) for request in requests(broker)])
    with running(results.run):
        # More often than the delivery limit allows attempts.
        wait_for(lambda: outage.refused > 8, within_s=SOON, what=lambda: "eight refusals")
        outage.is_over.set()
        wait_for(lambda: not _is_pending(asset), within_s=SOON, what=lambda: "the answer")
    asset.refresh_from_db()
    assert (asset.state, asset.reason) == ("failed", "corrupt")
    assert broker.depths()[f"{RESULTS}.dead"].ready == 0


@contextmanager
def missing(table: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO missing")
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE missing RENAME TO {table}")


def test_tables_that_are_not_there_cost_an_answer_no_attempt(
    broker: PostgresTransport, upload: Callable[..., Asset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while a backup is restored, or where the code is of another version than the tables."""
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        answers = [Message(RESULTS, failed_answer(request)) for request in requests(broker)]

    def refused() -> float:
        return REGISTRY.get_sample_value("vitrine_dependency_failures_total", {"stage": "write"}) or 0

    before = refused()
    # In this order: it ends outside, when the table is back.
    with running(results.run):
        with missing("jobs_taggingjob"):
            with broker.publisher() as publisher:
                publisher.publish(answers)
            wait_for(lambda: refused() > before + 8, within_s=SOON, what=lambda: "eight refusals")
        wait_for(lambda: not _is_pending(asset), within_s=SOON, what=lambda: "the answer")
    asset.refresh_from_db()
    assert (asset.state, asset.reason) == ("failed", "corrupt")
    assert broker.depths()[f"{RESULTS}.dead"].ready == 0


def test_what_is_said_of_another_picture_under_the_number_of_a_job_changes_nothing(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None
) -> None:
    """As by what lies in the broker still when a restored catalogue gives numbers of jobs out again."""
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        (request,) = requests(broker)
        before = request.model_copy(update={"sha256": "0" * 64})
        publisher.publish([Message(RESULTS, answer(before)) for answer in (tagged_answer, failed_answer)])
        publisher.publish([Message(BULK, before.model_dump_json().encode())])
    with broker.consumer([BULK]) as consumer:
        consumer.reject(*consumer.receive(limit=1, wait_s=SOON), reason="too late")
    ignored = {"outcome": "ignored"}
    counted = REGISTRY.get_sample_value("vitrine_answers_recorded_total", ignored) or 0
    record_all(broker)
    assert REGISTRY.get_sample_value("vitrine_answers_recorded_total", ignored) == counted + 3
    assert nothing_waits(broker)
    assert _is_pending(asset)
    assert DeadLetter.objects.get().job is None, "a replay would be of the wrong picture"
    with broker.publisher() as publisher:
        publisher.publish([Message(RESULTS, tagged_answer(request))])
    record_all(broker)
    asset.refresh_from_db()
    assert (asset.state, asset.jobs.get().state) == ("tagged", "done")


def test_an_answer_that_nobody_can_read_takes_no_neighbour_with_it(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        (request,) = requests(broker)
        publisher.publish([Message(RESULTS, b"not json", "m1"), Message(RESULTS, failed_answer(request))])
    record_all(broker)
    asset.refresh_from_db()
    assert (asset.state, asset.reason) == ("failed", "corrupt")
    letter = DeadLetter.objects.get()
    assert (letter.job, letter.message_id, bytes(letter.body)) == (None, "m1", b"not json")
    assert "Invalid JSON" in letter.reason
    assert nothing_waits(broker)


def test_a_request_that_was_given_up_fails_its_asset_and_is_kept(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
    with broker.consumer(REQUEST_QUEUES) as consumer:
        (delivery,) = consumer.receive(limit=1, wait_s=SOON)
        consumer.reject(delivery, reason="it kills every worker")
    record_all(broker)
    asset.refresh_from_db()
    assert (asset.state, asset.reason, asset.detail) == (
        "failed",
        "dead-lettered",
        "given up: it kills every worker",
    )
    letter = DeadLetter.objects.get()
    assert (letter.queue, letter.job, letter.state) == (f"{INTERACTIVE}.dead", asset.jobs.get(), "kept")
    assert bytes(letter.body) == delivery.body
    assert ledger().agrees
    assert nothing_waits(broker)


def test_a_dead_letter_of_a_job_that_was_answered_meanwhile_is_kept_and_changes_nothing(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        (request,) = requests(broker)
        publisher.publish([Message(RESULTS, tagged_answer(request))])
        record_all(broker)
        publisher.publish([Message(BULK, request.model_dump_json().encode())])
    with broker.consumer([BULK]) as consumer:
        consumer.reject(*consumer.receive(limit=1, wait_s=SOON), reason="too late")
    record_all(broker)
    asset.refresh_from_db()
    assert asset.state == "tagged"
    assert DeadLetter.objects.get().job.state == "done"
    assert nothing_waits(broker)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"embedding_f32": encode_embedding(np.ones(7, dtype=np.float32))},
        {"embedding_f32": "no base64!"},
        {"model": None},
    ],
    ids=["refused by the database", "unreadable", "incomplete"],
)
def test_an_answer_that_cannot_be_recorded_fails_its_job_and_takes_no_neighbour_with_it(
    broker: PostgresTransport, upload: Callable[..., Asset], spoiled: dict[str, object]
) -> None:
    assets = [upload() for _ in range(3)]
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        first, second, third = sorted(requests(broker), key=lambda request: request.job_id)
        publisher.publish(
            [
                Message(RESULTS, tagged_answer(first)),
                Message(RESULTS, tagged_answer(second, **spoiled)),
                Message(RESULTS, tagged_answer(third)),
            ]
        )
    record_all(broker)
    assert [
        (asset.state, asset.reason)
        for asset in Asset.objects.filter(pk__in=[a.pk for a in assets]).order_by("pk")
    ] == [("tagged", ""), ("failed", "dead-lettered"), ("tagged", "")]
    letter = DeadLetter.objects.get()
    assert (letter.queue, letter.job_id) == (f"{RESULTS}.dead", second.job_id)
    assert ledger().agrees
    assert nothing_waits(broker)


def test_a_dead_letter_with_impossible_numbers_leaves_its_queue_all_the_same(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        (request,) = requests(broker)
        monster = request.model_copy(update={"job_id": 10**30})
        publisher.publish(
            [
                Message(BULK, monster.model_dump_json().encode()),
                Message(RESULTS, tagged_answer(monster)),
                Message(RESULTS, tagged_answer(request)),
            ]
        )
    with broker.consumer([BULK]) as consumer:
        consumer.reject(*consumer.receive(limit=1, wait_s=SOON), reason="it kills every worker")
    record_all(broker)
    asset.refresh_from_db()
    assert asset.state == "tagged"
    assert DeadLetter.objects.get().job is None
    assert nothing_waits(broker)


def test_two_writers_with_the_same_answers_record_each_once(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    """Overlapping duplicates in opposite orders, of labels and a model that nobody has seen before."""
    Tag.objects.create(slug="beagle", name="beagle", threshold=0.3)
    for _ in range(40):
        upload(bulk=True)
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
    deliveries = [
        Delivery(
            RESULTS,
            tagged_answer(request, scores=(LabelScore(label=f"l{request.job_id % 9}", score=0.9), *SCORES)),
            "",
            1,
            None,
        )
        for request in requests(broker)
    ]
    orders = [deliveries, deliveries[::-1], deliveries[20:] + deliveries[:20]]
    start = threading.Barrier(len(orders))
    acknowledged: list[int] = []

    def write(mine: list[Delivery]) -> None:
        consumer = CountingConsumer()
        try:
            start.wait()
            for first in range(0, len(mine), 10):
                results.record_batch(consumer, mine[first : first + 10])  # type: ignore[arg-type]
            acknowledged.append(consumer.acknowledged)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[order]) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert acknowledged == [40, 40, 40]
    assert Prediction.objects.count() == 40
    assert Claim.objects.count() == Claim.objects.values("asset", "tag").distinct().count() == 40
    assert ledger().jobs["done"] == 40
    assert ledger().agrees


class CountingConsumer:
    """The end of a consumer that the writer sees, without a broker behind it."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += len(deliveries)


def test_a_writer_that_is_asked_to_stop_in_an_outage_records_what_it_holds_when_the_outage_ends(
    broker: PostgresTransport, upload: Callable[..., Asset], outage: Outage
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        publisher.publish([Message(RESULTS, tagged_answer(request)) for request in requests(broker)])
    stop = threading.Event()
    with running(results.run, stop):
        assert outage.met.wait(SOON)
        stop.set()
        outage.is_over.set()
    asset.refresh_from_db()
    assert asset.state == "tagged"
    assert nothing_waits(broker)


def test_a_writer_that_is_asked_to_stop_in_an_outage_gives_up_at_its_deadline(
    broker: PostgresTransport, upload: Callable[..., Asset], outage: Outage, settings: object
) -> None:
    settings.SHUTDOWN_DEADLINE_S = 0.2  # type: ignore[attr-defined]
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        publisher.publish([Message(RESULTS, tagged_answer(request)) for request in requests(broker)])
    with running(results.run):
        assert outage.met.wait(SOON)
    outage.is_over.set()
    record_all(broker)
    asset.refresh_from_db()
    assert asset.state == "tagged"
