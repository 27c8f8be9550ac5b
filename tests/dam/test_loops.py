"""The relay takes jobs to a real broker, the writer takes answers back; crashes lose and repeat nothing."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from PIL import Image

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.jobs.ledger import ledger
from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_publish
from dam.loops import relay, results
from dam.loops.backoff import Backoff
from pipeline.messages import FailureReason, Outcome, Purpose, TagRequest, TagResult
from pipeline.ports import Message, Publisher, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, INTERACTIVE, REQUEST_QUEUES, RESULTS
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 20.0


@pytest.fixture
def broker(scratch_database_url: str, settings: object) -> PostgresTransport:
    settings.QUEUE_URL = scratch_database_url  # type: ignore[attr-defined]
    transport = PostgresTransport(scratch_database_url)
    transport.declare()
    return transport


@pytest.fixture
def upload() -> Callable[..., Asset]:
    user = User.objects.create_user("uploader")
    shades = iter(range(256))

    def make(*, bulk: bool = False) -> Asset:
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (next(shades), 0, 0)).save(stream, "PNG")
        stream.seek(0)
        return asset_create(stream=stream, filename="a.png", user=user, bulk=bulk).asset

    return make


def requests(broker: PostgresTransport, queues: Sequence[str] = REQUEST_QUEUES) -> list[TagRequest]:
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
            outcome=Outcome.FAILED,
            reason=FailureReason.CORRUPT,
            detail="bad",
        )
        .model_dump_json()
        .encode()
    )


def record_all(broker: PostgresTransport) -> None:
    with broker.consumer(results.SOURCES) as consumer:
        while batch := consumer.receive(limit=100, wait_s=0.2):
            results.record_batch(consumer, batch)


@contextmanager
def running(loop: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
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


@pytest.fixture
def running_relay(broker: PostgresTransport) -> Iterator[None]:
    with running(relay.run):
        yield


def _is_pending(asset: Asset) -> bool:
    asset.refresh_from_db()
    return asset.state == "pending"


def test_single_uploads_and_imports_go_to_queues_of_their_own(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    imported, single = upload(bulk=True), upload()
    with broker.publisher() as publisher:
        assert jobs_publish(publisher=publisher) == 2
    assert [request.asset_id for request in requests(broker, [INTERACTIVE])] == [single.pk]
    assert [request.asset_id for request in requests(broker, [BULK])] == [imported.pk]
    assert ledger().jobs["published"] == 2


def test_a_job_queued_while_the_relay_waits_is_published_soon(
    running_relay: None, broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    with broker.consumer([INTERACTIVE]) as consumer:
        asset = upload()
        (delivery,) = consumer.receive(limit=1, wait_s=SOON)
        assert TagRequest.model_validate_json(delivery.body).asset_id == asset.pk
        consumer.ack([delivery])


class CrashAfterConfirm:
    """A publisher whose relay dies between the broker's confirmation and the commit."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, messages: Sequence[Message]) -> None:
        self._publisher.publish(messages)
        raise TransportDownError("the relay died here")


def test_a_relay_that_dies_after_the_confirmation_publishes_again_and_nothing_is_tagged_twice(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    upload()
    with broker.publisher() as publisher:
        with pytest.raises(TransportDownError):
            jobs_publish(publisher=CrashAfterConfirm(publisher))  # type: ignore[arg-type]
        assert ledger().jobs["queued"] == 1
        assert jobs_publish(publisher=publisher) == 1
        published_twice = requests(broker)
        assert len(published_twice) == 2
        publisher.publish([Message(RESULTS, failed_answer(request)) for request in published_twice])
    record_all(broker)
    assert ledger().jobs == {"issued": 1, "queued": 0, "published": 0, "done": 0, "failed": 1}
    assert ledger().agrees


def test_an_outage_of_the_catalogue_costs_an_answer_no_attempt(
    broker: PostgresTransport, upload: Callable[..., Asset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue goes on while the catalogue refuses more often than the delivery limit allows attempts."""
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        publisher.publish([Message(RESULTS, failed_answer(request)) for request in requests(broker)])
    refusals = iter(range(8))
    record = results.result_record

    def refuse_at_first(**answer: object) -> object:
        if next(refusals, None) is not None:
            raise OperationalError("too many connections")
        return record(**answer)  # type: ignore[arg-type]

    monkeypatch.setattr(results, "result_record", refuse_at_first)
    monkeypatch.setattr(Backoff, "next_delay", lambda _self: 0.01)
    with running(results.run):
        wait_for(lambda: not _is_pending(asset), within_s=SOON, what=lambda: "the answer")
    asset.refresh_from_db()
    assert (asset.state, asset.reason) == ("failed", "corrupt")
    assert broker.depths()[f"{RESULTS}.dead"].ready == 0


def test_a_relay_outlives_a_cut_connection(
    running_relay: None, broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    with broker.consumer([INTERACTIVE]) as consumer:
        for _ in range(2):
            asset = upload()
            seen = None
            # Cut between the confirmation and its commit, the relay publishes the job before again.
            while seen != asset.pk:
                (delivery,) = consumer.receive(limit=1, wait_s=SOON)
                seen = TagRequest.model_validate_json(delivery.body).asset_id
                consumer.ack([delivery])
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )


def test_two_relays_at_once_publish_each_job_once(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    for _ in range(40):
        upload(bulk=True)
    start = threading.Barrier(2)

    def work() -> None:
        try:
            with broker.publisher() as publisher:
                start.wait()
                while jobs_publish(publisher=publisher, limit=3):
                    pass
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A relay that saw only locked rows may have stopped early; what is left is for the next round.
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
    published = [request.job_id for request in requests(broker)]
    assert sorted(published) == sorted(TaggingJob.objects.values_list("id", flat=True))


def test_an_answer_that_nobody_can_read_takes_no_neighbour_with_it(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    asset = upload()
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)
        (request,) = requests(broker)
        publisher.publish([Message(RESULTS, b"not json"), Message(RESULTS, failed_answer(request))])
    record_all(broker)
    asset.refresh_from_db()
    assert (asset.state, asset.reason) == ("failed", "corrupt")
    assert broker.depths()[f"{RESULTS}.dead"].ready == 1
    assert broker.depths()[RESULTS].ready == 0


def test_a_request_that_was_given_up_fails_its_asset(
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
    assert ledger().agrees
