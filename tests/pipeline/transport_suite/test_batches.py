"""What every transport has to do: messages arrive whole, in order and in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.ports import Consumer, Message, Transport
from pipeline.topology import BULK, INTERACTIVE, QUEUES, REQUEST_QUEUES
from tests.pipeline.transport_suite.receiving import (
    DEAD,
    WAIT_S,
    connect,
    drain,
    ids,
    settled,
)
from tests.plugins.brokers import Broker
from tests.plugins.processes import wait_for

# ------------------------------------------------------------ there and back


def test_a_published_message_is_received_as_it_was_and_is_gone_after_the_ack(
    broker: Broker, transport: Transport, publish: Callable[..., None]
) -> None:
    publish("a", "b")
    with transport.consumer([BULK]) as consumer:
        batch = consumer.receive(limit=2, wait_s=WAIT_S, linger_s=WAIT_S)
        assert [(one.queue, one.message_id, one.body) for one in batch] == [
            (BULK, "a", b"body of a"),
            (BULK, "b", b"body of b"),
        ]
        assert [one.delivery_count for one in batch] == [1, 1]
        consumer.ack(batch)
    assert settled(broker, BULK, 0)


@pytest.mark.parametrize(
    "body", [b"", bytes(range(256)), b"\x00" * 1_000_000], ids=["empty", "bytes", "long"]
)
def test_any_body_arrives_unchanged(transport: Transport, consumer: Consumer, body: bytes) -> None:
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, body, "id with “quotes” and 漢字")])
    (delivery,) = consumer.receive(limit=1, wait_s=WAIT_S)
    assert delivery.body == body
    assert delivery.message_id == "id with “quotes” and 漢字"


def test_nothing_comes_from_an_empty_queue_and_the_wait_is_as_long_as_asked(consumer: Consumer) -> None:
    connect(consumer)
    before = time.monotonic()
    assert consumer.receive(limit=1, wait_s=0.5) == []
    assert 0.45 <= time.monotonic() - before < 5


def test_publishing_nothing_does_nothing(transport: Transport) -> None:
    with transport.publisher() as publisher:
        publisher.publish([])
    assert transport.depths()[BULK].ready == 0


def test_an_unknown_queue_is_refused_and_nothing_of_the_batch_is_stored(transport: Transport) -> None:
    with transport.publisher() as publisher, pytest.raises(KeyError):
        publisher.publish([Message(BULK, b"1"), Message("no.such.queue", b"2")])
    with transport.publisher() as publisher, pytest.raises(KeyError):
        publisher.publish([Message(DEAD, b"3")])
    with pytest.raises(KeyError):
        transport.consumer(["no.such.queue"])
    assert transport.depths()[BULK].ready == 0


def test_many_may_declare_at_once_and_again(broker: Broker) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(broker.transport().declare) for _ in range(8)]:
            done.result(timeout=60)
    names = {name for queue in QUEUES for name in (queue.name, queue.dead_letters)}
    depths = broker.transport().depths()
    assert {name: depth.ready for name, depth in depths.items()} == dict.fromkeys(names, 0)


# --------------------------------------------------------- order and batches


def test_messages_of_a_queue_come_in_the_order_of_their_publishing(
    consumer: Consumer, publish: Callable[..., None]
) -> None:
    names = [f"{n:03}" for n in range(100)]
    publish(*names[:50])
    publish(*names[50:])
    assert ids(drain(consumer, 100)) == names


def test_an_earlier_queue_of_the_consumer_overtakes_a_later_one_and_no_batch_mixes_them(
    transport: Transport, publish: Callable[..., None]
) -> None:
    backlog = [f"bulk {n:03}" for n in range(300)]
    publish(*backlog)
    with transport.consumer([INTERACTIVE, BULK], prefetch=20) as consumer:
        before = consumer.receive(limit=10, wait_s=WAIT_S)
        publish("interactive", queue=INTERACTIVE)
        seen = []
        while not seen or seen[-1].queue == BULK:
            consumer.ack(before if not seen else seen[-1:])
            batch = consumer.receive(limit=10, wait_s=WAIT_S, linger_s=0.2)
            assert len({one.queue for one in batch}) == 1
            consumer.ack(batch[:-1])
            seen += batch
    # What was on its way already may come first; the backlog may not.
    assert seen[-1].message_id == "interactive"
    assert len(seen) <= 41


def test_queues_are_drained_in_the_order_of_their_priority(
    transport: Transport, publish: Callable[..., None]
) -> None:
    for queue in reversed(REQUEST_QUEUES):
        publish(f"{queue} 1", f"{queue} 2", queue=queue)
    with transport.consumer(REQUEST_QUEUES, prefetch=20) as consumer:
        seen = consumer.receive(limit=1, wait_s=WAIT_S)
        # A broker that sends in advance has to have sent all, or what arrives first comes first.
        wait_for(lambda: all_sent(transport), WAIT_S, "everything at hand")
        while len(seen) < 2 * len(REQUEST_QUEUES):
            seen += consumer.receive(limit=10, wait_s=WAIT_S)
        consumer.ack(seen)
    assert ids(seen) == [f"{queue} {number}" for queue in REQUEST_QUEUES for number in (1, 2)]


def all_sent(transport: Transport) -> bool:
    """Whether nothing waits at the broker, if it is one that sends in advance (and does not tell what)."""
    return all(depth.ready == 0 or depth.held is not None for depth in transport.depths().values())


def test_a_batch_is_never_larger_than_asked(consumer: Consumer, publish: Callable[..., None]) -> None:
    publish("a", "b", "c")
    assert ids(consumer.receive(limit=2, wait_s=WAIT_S, linger_s=WAIT_S)) == ["a", "b"]
    assert ids(consumer.receive(limit=2, wait_s=WAIT_S)) == ["c"]


def test_a_batch_lingers_for_more_messages_and_no_longer_once_it_is_full(
    consumer: Consumer, publish: Callable[..., None]
) -> None:
    publish("a")
    later = threading.Timer(0.3, publish, ["b", "c"])
    later.start()
    before = time.monotonic()
    assert ids(consumer.receive(limit=3, wait_s=WAIT_S, linger_s=WAIT_S)) == ["a", "b", "c"]
    assert time.monotonic() - before < WAIT_S / 2
    later.join()


def test_a_waiting_consumer_is_woken_by_a_message(
    broker: Broker, consumer: Consumer, publish: Callable[..., None]
) -> None:
    connect(consumer)
    late_s = []
    for n in range(5):
        published = []

        def later(name: str = str(n), published: list[float] = published) -> None:
            publish(name)
            published.append(time.monotonic())

        timer = threading.Timer(0.2, later)
        timer.start()
        (delivery,) = consumer.receive(limit=1, wait_s=WAIT_S)
        received = time.monotonic()
        timer.join()
        late_s.append(received - published[0])
        consumer.ack([delivery])
    # Whatever looks from time to time only would take half its period in the middle.
    assert sorted(late_s)[2] < 0.2
