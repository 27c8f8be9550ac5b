"""Before a full queue: what it takes is published, the rest stays queued, and nobody else waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_publish
from dam.loops import relay
from pipeline.messages import TagRequest
from pipeline.ports import QueueFullError, Transport
from pipeline.postgres_queue import PostgresTransport
from pipeline.rabbitmq.transport import RabbitTransport
from pipeline.topology import BULK, INTERACTIVE, QUEUES, SHADOW, QueueSpec
from tests.dam.relaying import SOON, queue_jobs, relays, states, take, wake
from tests.plugins.rabbitmq import RabbitNode
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limited(broker: PostgresTransport, settings, monkeypatch) -> Callable[..., PostgresTransport]:
    """Makes the queue anew with other limits, for the relays of the test too."""

    def make(**limits: int) -> PostgresTransport:
        transport = PostgresTransport(settings.QUEUE_URL, limited_queues(**limits))
        transport.declare()
        monkeypatch.setattr(relay, "transport_from_url", lambda _url: transport)
        return transport

    return make


def limited_queues(**limits: int) -> list[QueueSpec]:
    """``bulk=10``: the bulk queue takes so many."""
    known = {f"tagging.{name}": limit for name, limit in limits.items()}
    return [replace(queue, max_length=known.get(queue.name, queue.max_length)) for queue in QUEUES]


def test_what_a_full_queue_took_is_published_and_the_rest_stays_queued(limited) -> None:
    broker = limited(bulk=10)
    ids = queue_jobs(25)
    person = queue_jobs(1, bulk=False)
    with broker.publisher() as publisher:
        with pytest.raises(QueueFullError):
            jobs_publish(publisher=publisher)
        assert states() == {"published": 11, "queued": 15}
        assert sorted(take(broker)) == ids[:10] + person
        with pytest.raises(QueueFullError):
            jobs_publish(publisher=publisher)
        assert take(broker) == ids[10:20]
        assert jobs_publish(publisher=publisher) == 5
    assert take(broker) == ids[20:]
    assert set(TaggingJob.objects.values_list("state", "attempts")) == {("published", 1)}


def overtake_and_drain(broker: Transport, imported: list[int]) -> None:
    """Before a full bulk queue: three people's jobs arrive; then all of the import as the queue empties."""
    with broker.consumer([INTERACTIVE]) as consumer:
        for _ in range(3):
            person = queue_jobs(1, bulk=False)
            wake()
            (delivery,) = consumer.receive(limit=1, wait_s=SOON)
            assert TagRequest.model_validate_json(delivery.body).job_id == person[0]
            consumer.ack([delivery])
    # A queue may take a few more than its limit, but what it took is what is marked.
    bulk = TaggingJob.objects.filter(bulk=True)
    wait_for(
        lambda: broker.depths()[BULK].ready == bulk.filter(state="published").count(),
        within_s=SOON,
        what=lambda: f"{broker.depths()} as marked: {states()}",
    )
    assert bulk.filter(state="queued").count() > len(imported) / 2
    seen: list[int] = []
    wait_for(
        lambda: len(seen.extend(take(broker, [BULK])) or seen) >= len(imported),
        within_s=SOON,
        what=lambda: f"{len(seen)} of {len(imported)}",
    )
    assert sorted(seen) == imported


def test_a_full_bulk_queue_does_not_delay_what_people_wait_for(limited) -> None:
    broker = limited(bulk=10)
    imported = queue_jobs(40)
    with relays():
        wait_for(lambda: states()["published"] == 10, within_s=SOON, what=lambda: str(states()))
        overtake_and_drain(broker, imported)


@pytest.fixture
def rabbitmq_url(rabbit_node: RabbitNode) -> Iterator[str]:
    url = rabbit_node.make_vhost()
    yield url
    rabbit_node.drop_vhost(url)


def test_a_full_bulk_queue_of_rabbitmq_does_not_either(rabbitmq_url: str, monkeypatch) -> None:
    broker = RabbitTransport(rabbitmq_url, limited_queues(bulk=50))
    broker.declare()
    monkeypatch.setattr(relay, "transport_from_url", lambda _url: broker)
    imported = queue_jobs(1_500)
    with relays():
        wait_for(lambda: states()["published"] >= 50, within_s=SOON, what=lambda: str(states()))
        overtake_and_drain(broker, imported)


def test_a_full_interactive_queue_does_not_stop_the_import(limited) -> None:
    broker = limited(interactive=1)
    queue_jobs(5, bulk=False)
    queue_jobs(5)
    with relays():
        wait_for(lambda: states()["published"] == 6, within_s=SOON, what=lambda: str(states()))
        assert len(take(broker, [BULK])) == 5


def test_full_queues_of_imports_and_of_comparisons_hold_up_nobody_else(limited) -> None:
    broker = limited(shadow=3)
    comparisons = queue_jobs(10, purpose="shadow")
    imported, person = queue_jobs(5), queue_jobs(1, bulk=False)
    with relays():
        wait_for(lambda: states()["published"] == 9, within_s=SOON, what=lambda: str(states()))
        assert take(broker, [INTERACTIVE, BULK]) == person + imported
        later = queue_jobs(2)
        wake()
        wait_for(lambda: broker.depths()[BULK].ready == 2, within_s=SOON, what=lambda: str(states()))
    assert take(broker, [SHADOW, BULK]) == comparisons[:3] + later

    broker = limited(bulk=1)
    with relays():
        queue_jobs(5)
        wake()
        # The comparisons that were left, however full the queue before theirs is.
        wait_for(lambda: broker.depths()[SHADOW].ready == 7, within_s=SOON, what=lambda: str(states()))


def test_a_relay_before_a_full_queue_rests_longer_and_longer(limited, monkeypatch) -> None:
    """Each refused attempt costs the broker the messages once more."""
    limited(bulk=1)
    refused: list[float] = []
    publish = relay.jobs_publish

    def noting(**arguments: Any) -> int:
        try:
            return publish(**arguments)
        except QueueFullError:
            refused.append(time.monotonic())
            raise

    monkeypatch.setattr(relay, "jobs_publish", noting)
    queue_jobs(20)
    with relays():
        wait_for(lambda: len(refused) >= 7, within_s=SOON, what=lambda: str(len(refused)))
    rests = [second - first for first, second in pairwise(refused)]
    # At least half of 0.1, 0.2, 0.4 … 2 seconds, however slow the machine; a busy loop asks at once.
    for rest, least in zip(rests, (0.05, 0.1, 0.2, 0.4, 0.8, 1.0), strict=False):
        assert rest >= least
