"""The relay takes jobs to a real broker, the writer takes answers back; crashes lose and repeat nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from django.db import connection

from dam.assets.models import Asset
from dam.jobs.ledger import ledger
from dam.jobs.services import jobs_publish
from dam.loops import relay
from pipeline.messages import TagRequest
from pipeline.ports import Message, Publisher, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, INTERACTIVE, RESULTS
from tests.dam.answers import SOON, failed_answer, record_all, requests, running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running_relay(broker: PostgresTransport) -> Iterator[None]:
    with running(relay.run):
        yield


def test_single_uploads_and_imports_go_to_queues_of_their_own(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    imported, single = upload(bulk=True), upload()
    with broker.publisher() as publisher:
        assert jobs_publish(publisher=publisher) == 2
    assert [request.asset_id for request in requests(broker, [INTERACTIVE])] == [single.pk]
    assert [request.asset_id for request in requests(broker, [BULK])] == [imported.pk]
    assert ledger().jobs["published"] == 2


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
