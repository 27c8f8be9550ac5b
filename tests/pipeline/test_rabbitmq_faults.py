"""Connections of RabbitMQ that are cut, silent, or kept waiting by an alarm; and what a close leaves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from pipeline.ports import Consumer, Delivery, Message, TransportDownError
from pipeline.rabbitmq import RabbitTransport
from pipeline.rabbitmq.publisher import RabbitPublisher
from pipeline.topology import BULK
from tests.plugins.brokers import RabbitBroker
from tests.plugins.processes import wait_for
from tests.plugins.rabbitmq import RabbitNode
from tests.plugins.tcp_proxy import TcpProxy

WAIT_S = 60.0
BOUND_S = 5.0
"""More than the second or two that a call may overrun its time, less than any time-out below it."""


@pytest.fixture
def transport(rabbit_broker: RabbitBroker) -> RabbitTransport:
    transport = rabbit_broker.transport()
    transport.declare()
    return transport


@pytest.fixture
def proxy(rabbit_broker: RabbitBroker) -> Iterator[TcpProxy]:
    with TcpProxy(rabbit_broker.node.port) as proxy:
        yield proxy


def by_proxy(proxy: TcpProxy, broker: RabbitBroker, *, heartbeat_s: int = 60) -> RabbitTransport:
    """By default the proxy's silence is noticed by nobody for two minutes."""
    there = broker.url.replace(str(broker.node.port), str(proxy.port))
    return RabbitTransport(f"{there}?heartbeat={heartbeat_s}")


def test_a_connection_that_is_cut_without_being_closed_is_noticed_and_its_messages_come_again(
    rabbit_broker: RabbitBroker, transport: RabbitTransport, proxy: TcpProxy
) -> None:
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"", "held")])
    with by_proxy(proxy, rabbit_broker, heartbeat_s=2).consumer([BULK]) as consumer:
        held = consumer.receive(limit=1, wait_s=WAIT_S)
        proxy.cut()
        # The broker gives it to others once it has missed two heartbeats.
        with transport.consumer([BULK]) as other:
            (again,) = other.receive(limit=1, wait_s=WAIT_S)
            assert (again.message_id, again.delivery_count) == ("held", 2)
            other.ack([again])
        with transport.publisher() as publisher:
            publisher.publish([Message(BULK, b"", "after")])
        (after,) = consumer.receive(limit=1, wait_s=WAIT_S)
        assert after.message_id == "after"
        # The delivery of the lost connection has no meaning on the new one.
        consumer.ack(held)
        consumer.ack([after])
    wait_for(lambda: rabbit_broker.messages(BULK) == 0, WAIT_S, "an empty queue")


def test_an_answer_that_comes_too_late_is_an_outage_and_publishing_goes_on_after_it(
    rabbit_broker: RabbitBroker,
    transport: RabbitTransport,
    proxy: TcpProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = by_proxy(proxy, rabbit_broker)
    with there.publisher() as publisher, there.consumer([BULK]) as consumer:
        publisher.publish([Message(BULK, b"", "before")])
        consumer.ack(consumer.receive(limit=1, wait_s=WAIT_S))
        monkeypatch.setattr("pipeline.rabbitmq.link.ANSWER_WITHIN_S", 1.0)
        proxy.silence()
        with pytest.raises(TransportDownError, match="no answer within"):
            publisher.publish([Message(BULK, b"", "twice")])
        # Its confirm comes now, and nobody waits for it any more.
        proxy.heal()
        monkeypatch.setattr("pipeline.rabbitmq.link.ANSWER_WITHIN_S", WAIT_S)
        publisher.publish([Message(BULK, b"", "twice")])
        found = [consumer.receive(limit=1, wait_s=WAIT_S)[0] for _ in range(2)]
        assert {one.message_id for one in found} == {"twice"}
        consumer.ack(found)


def test_heartbeats_are_answered_while_the_work_takes_longer_than_they_may_be_missed(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    impatient = RabbitTransport(f"{rabbit_broker.url}?heartbeat=1")
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"", "long work")])
    with impatient.consumer([BULK]) as consumer, transport.consumer([BULK]) as other:
        (held,) = consumer.receive(limit=1, wait_s=WAIT_S)
        # The thread that works does nothing for the connection meanwhile.
        assert other.receive(limit=1, wait_s=5) == []
        consumer.ack([held])
    wait_for(lambda: rabbit_broker.messages(BULK) == 0, WAIT_S, "an empty queue")


# --------------------------------------------------------------------- silence


def overrun_s(consumer: Consumer, *, wait_s: float) -> float:
    """How much longer than asked ``receive`` takes to tell that the broker does not answer."""
    before = time.monotonic()
    with pytest.raises(TransportDownError, match="not answered yet"):
        consumer.receive(limit=1, wait_s=wait_s)
    return time.monotonic() - before - wait_s


def received(consumer: Consumer) -> Delivery:
    """The next message, however often it is told before that the broker has not answered."""
    found: list[Delivery] = []

    def receive() -> bool:
        try:
            found.extend(consumer.receive(limit=1, wait_s=1))
        except TransportDownError:
            return False
        return bool(found)

    wait_for(receive, WAIT_S, "a message")
    return found[0]


def test_who_connects_through_a_network_that_swallows_everything_is_told_in_time_and_gets_through_later(
    rabbit_broker: RabbitBroker, transport: RabbitTransport, proxy: TcpProxy
) -> None:
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"", "here")])
    proxy.silence()
    with by_proxy(proxy, rabbit_broker).consumer([BULK]) as consumer:
        assert overrun_s(consumer, wait_s=0.5) < BOUND_S
        assert overrun_s(consumer, wait_s=0) < BOUND_S
        proxy.heal()
        assert received(consumer).message_id == "here"


def test_a_question_that_a_network_swallows_is_told_in_time_and_its_answer_is_not_lost(
    rabbit_broker: RabbitBroker, transport: RabbitTransport, proxy: TcpProxy
) -> None:
    with transport.publisher() as publisher, transport.consumer([BULK]) as dying:
        publisher.publish([Message(BULK, b"", name) for name in ("first", "second")])
        assert len(dying.receive(limit=2, wait_s=WAIT_S, linger_s=WAIT_S)) == 2
    with by_proxy(proxy, rabbit_broker).consumer([BULK]) as consumer:
        # What comes again is asked for one by one.
        first = consumer.receive(limit=1, wait_s=WAIT_S)
        assert first[0].delivery_count == 2
        proxy.silence()
        assert overrun_s(consumer, wait_s=0.5) < BOUND_S
        assert overrun_s(consumer, wait_s=0) < BOUND_S
        proxy.heal()
        second = received(consumer)
        assert {first[0].message_id, second.message_id} == {"first", "second"}
        assert second.delivery_count == 2
        consumer.ack([*first, second])
    with transport.consumer([BULK]) as other:
        assert other.receive(limit=1, wait_s=1) == []


def test_who_streams_through_a_network_that_swallows_everything_may_stop_soon(
    rabbit_broker: RabbitBroker, transport: RabbitTransport, proxy: TcpProxy
) -> None:
    with transport.publisher() as publisher, by_proxy(proxy, rabbit_broker).consumer([BULK]) as consumer:
        publisher.publish([Message(BULK, b"", name) for name in ("first", "second")])
        held = consumer.receive(limit=2, wait_s=WAIT_S, linger_s=WAIT_S)
        proxy.silence()
        before = time.monotonic()
        consumer.take_no_more()
        assert time.monotonic() - before < 15
        assert consumer.receive(limit=1, wait_s=WAIT_S) == []
        consumer.ack(held)
        proxy.heal()
    with transport.consumer([BULK]) as other:
        assert other.receive(limit=1, wait_s=1) == []


# ----------------------------------------------------------------------- alarm


def alarmed(node: RabbitNode) -> bool:
    """The broker looks at its memory from time to time only."""
    return "memory" in node.evaluate("rabbit_alarm:get_alarms()")


def refused(publisher: RabbitPublisher, messages: Sequence[Message]) -> float:
    """How long it takes to be told that the broker has no memory."""
    before = time.monotonic()
    with pytest.raises(TransportDownError, match="low on memory"):
        publisher.publish(messages)
    return time.monotonic() - before


def test_a_broker_short_of_memory_says_so_and_stores_once_what_was_published_again_and_again(
    rabbit_broker: RabbitBroker, transport: RabbitTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.rabbitmq.link.ANSWER_WITHIN_S", 3.0)
    node = rabbit_broker.node
    during = [Message(BULK, b"during", f"{number}") for number in range(50)]
    from_elsewhere = [Message(BULK, b"elsewhere", "elsewhere")]
    # A link is kept through the alarm only if its heartbeats go on.
    with RabbitTransport(f"{rabbit_broker.url}?heartbeat=1").publisher() as publisher:
        publisher.publish([Message(BULK, b"before", "before")])
        node.limit_memory("1MB")
        try:
            wait_for(lambda: alarmed(node), WAIT_S, "the alarm of memory")
            assert refused(publisher, during) < 30
            # It is known by now: whoever is asked to stop does not wait here.
            assert refused(publisher, during) < 2
            for _ in range(2):
                with transport.publisher() as another:
                    refused(another, from_elsewhere)
        finally:
            node.limit_memory("1GB")
            wait_for(lambda: not alarmed(node), WAIT_S, "the end of the alarm")
        monkeypatch.setattr("pipeline.rabbitmq.link.ANSWER_WITHIN_S", WAIT_S)
        publisher.publish([*during, Message(BULK, b"after", "after")])
        # Told once, it is forgotten: who publishes it now means it.
        publisher.publish(during[:1])
    with transport.publisher() as another:
        another.publish(from_elsewhere)
    with transport.consumer([BULK]) as consumer:
        found = Counter(one.message_id for one in taken(consumer))
    expected = ["before", "after", "elsewhere", *(one.message_id for one in during), during[0].message_id]
    assert found == Counter(expected)


def taken(consumer: Consumer) -> Iterator[Delivery]:
    """Everything that comes, acknowledged."""
    while batch := consumer.receive(limit=100, wait_s=2):
        consumer.ack(batch)
        yield from batch


# -------------------------------------------------------------------- closing


def test_nothing_that_was_acknowledged_behind_something_else_comes_again_after_a_clean_close(
    transport: RabbitTransport,
) -> None:
    rounds, at_once = 50, 80
    with transport.publisher() as publisher:
        # A round may be given some more than it works on.
        publisher.publish([Message(BULK, b"", f"{number}") for number in range(rounds * at_once * 2)])
    again: list[str] = []
    acknowledged: set[str] = set()
    held: list[str] = []
    for number in range(rounds):
        with transport.consumer([BULK], prefetch=at_once) as consumer:
            batch = consumer.receive(limit=at_once, wait_s=WAIT_S, linger_s=WAIT_S)
            while batch[0].delivery_count > 1:
                again += [one.message_id for one in batch]
                consumer.ack(batch)
                batch = consumer.receive(limit=at_once, wait_s=WAIT_S, linger_s=WAIT_S)
            consumer.take_no_more()
            # One that is not done stands before all others, or in their midst.
            place = number * 7 % len(batch)
            held.append(batch.pop(place).message_id)
            if number % 2:
                consumer.ack(batch)
            else:
                for one in reversed(batch):
                    consumer.ack([one])
            acknowledged.update(one.message_id for one in batch)
    with transport.consumer([BULK]) as consumer:
        again += [one.message_id for one in taken(consumer) if one.delivery_count > 1]
    assert not acknowledged & set(again)
    assert set(held) <= set(again)


def test_what_is_acknowledged_one_by_one_while_the_broker_s_disk_is_slow_does_not_come_again(
    rabbit_broker: RabbitBroker, transport: RabbitTransport
) -> None:
    at_once = 80
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"", f"{number}") for number in range(at_once)])
    with transport.consumer([BULK], prefetch=at_once) as consumer:
        batch = []
        while len(batch) < at_once:
            batch += consumer.receive(limit=at_once, wait_s=WAIT_S, linger_s=1.0)
        consumer.take_no_more()
        with rabbit_broker.node.slow_disk():
            for one in reversed(batch[1:]):
                consumer.ack([one])
            consumer.close()
    with transport.consumer([BULK]) as consumer:
        assert [one.message_id for one in taken(consumer)] == [batch[0].message_id]
