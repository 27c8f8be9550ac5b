"""What every transport has to do: several consumers at once, limits, outages and clean stops."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.ports import Consumer, Message, QueueFullError, Transport, TransportDownError
from pipeline.topology import BULK, INTERACTIVE, RESULTS, QueueSpec
from tests.pipeline.transport_suite.receiving import (
    DEAD,
    NEVER_S,
    WAIT_S,
    connect,
    drain,
    ids,
    settled,
)
from tests.plugins.brokers import Broker

# ----------------------------------------------------------- several at once


def test_several_consumers_never_get_the_same_message(
    transport: Transport, publish: Callable[..., None]
) -> None:
    names = [f"{n:04}" for n in range(1000)]
    seen: list[str] = []

    def consume() -> None:
        with transport.consumer([BULK]) as consumer:
            while batch := consumer.receive(limit=7, wait_s=NEVER_S, linger_s=0.01):
                seen.extend(ids(batch))
                consumer.ack(batch)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(consume) for _ in range(4)]
        for start in range(0, 1000, 50):
            publish(*names[start : start + 50])
        for one in done:
            one.result(timeout=120)
    assert sorted(seen) == names


def test_a_message_stays_with_its_holder_however_long_the_work_takes(broker: Broker) -> None:
    transport = broker.transport(lease_s=1)
    transport.declare()
    with (
        transport.publisher() as publisher,
        transport.consumer([BULK]) as holder,
        transport.consumer([BULK]) as other,
    ):
        publisher.publish([Message(BULK, b"", "long work")])
        held = holder.receive(limit=1, wait_s=WAIT_S)
        assert other.receive(limit=1, wait_s=4) == []
        holder.ack(held)
        assert settled(broker, BULK, 0)


def test_acknowledging_or_rejecting_what_another_consumer_holds_does_nothing(
    broker: Broker, transport: Transport, publish: Callable[..., None]
) -> None:
    publish("a")
    with transport.consumer([BULK]) as holder, transport.consumer([BULK]) as stranger:
        held = holder.receive(limit=1, wait_s=WAIT_S)
        connect(stranger)
        stranger.ack(held)
        stranger.reject(held[0], reason="not mine")
        assert stranger.receive(limit=1, wait_s=NEVER_S) == []
    assert settled(broker, BULK, 1)
    assert broker.messages(DEAD) == 0


def test_acknowledging_twice_does_nothing(consumer: Consumer, publish: Callable[..., None]) -> None:
    publish("a", "b")
    first = consumer.receive(limit=1, wait_s=WAIT_S)
    consumer.ack(first)
    consumer.ack(first)
    assert ids(consumer.receive(limit=2, wait_s=WAIT_S)) == ["b"]


def test_the_depths_tell_what_waits(transport: Transport, publish: Callable[..., None]) -> None:
    publish("a", "b", "c")
    publish("r", queue=RESULTS)
    depths = transport.depths()
    assert (depths[BULK].ready, depths[RESULTS].ready) == (3, 1)
    assert depths[INTERACTIVE].ready == depths[DEAD].ready == 0


# ------------------------------------------------------------------- outages


def test_an_outage_is_told_to_the_caller_and_everything_goes_on_after_it(
    broker: Broker, transport: Transport
) -> None:
    with transport.publisher() as publisher, transport.consumer([BULK]) as consumer:
        publisher.publish([Message(BULK, b"", "before"), Message(BULK, b"", "held")])
        consumer.ack(consumer.receive(limit=1, wait_s=WAIT_S))
        held = consumer.receive(limit=1, wait_s=WAIT_S)
        broker.stop()
        with pytest.raises(TransportDownError):
            publisher.publish([Message(BULK, b"", "during")])
        with pytest.raises(TransportDownError):
            consumer.receive(limit=1, wait_s=0.2)
        with pytest.raises(TransportDownError):
            transport.depths()
        broker.start()
        publisher.publish([Message(BULK, b"", "after")])
        names = set()
        while "after" not in names:
            names.update(ids(drain(consumer, 1)))
        # A transport may deliver again what was held when it went away, and loses nothing.
        assert names - {"held"} == {"after"}
        # Nor does acknowledging what it took back.
        consumer.ack(held)
        while again := consumer.receive(limit=1, wait_s=NEVER_S):
            consumer.ack(again)
    assert settled(broker, BULK, 0)


def test_a_waiting_consumer_survives_a_restart_and_gets_what_comes_after_it(
    broker: Broker, transport: Transport
) -> None:
    with transport.consumer([BULK]) as consumer, ThreadPoolExecutor(1) as pool:
        connect(consumer)
        waiting = pool.submit(consumer.receive, limit=1, wait_s=60)
        broker.stop()
        broker.start()
        with transport.publisher() as publisher:
            publisher.publish([Message(BULK, b"", "after")])
        assert ids(waiting.result(timeout=90)) == ["after"]


def test_a_confirmed_message_survives_a_crash_of_the_broker(
    broker: Broker, transport: Transport, publish: Callable[..., None]
) -> None:
    names = [f"{n:03}" for n in range(200)]
    publish(*names)
    broker.crash()
    broker.start()
    with transport.consumer([BULK]) as consumer:
        assert sorted(ids(drain(consumer, 200))) == names


# -------------------------------------------------------------------- limits


def test_a_full_queue_refuses_the_rest_and_takes_again_once_there_is_room(broker: Broker) -> None:
    small = [QueueSpec(BULK, max_length=5), QueueSpec(INTERACTIVE)]
    with broker.transport(queues=small) as transport, transport.publisher() as publisher:
        transport.declare()
        stored: list[str] = []
        for call in range(20):
            messages = [Message(BULK, b"", f"{call}.{n}") for n in range(10)]
            messages.insert(5, Message(INTERACTIVE, b"", f"{call}.other"))
            try:
                publisher.publish(messages)
            except QueueFullError as error:
                full = error
                break
            # A broker may take some more than its limit before it notices.
            stored += [one.message_id for one in messages]
        else:
            pytest.fail("a queue of five messages took 200")
        assert full.queues == {BULK}
        stored += [one.message_id for n, one in enumerate(messages) if n not in full.refused]
        assert f"{call}.other" in stored
        with transport.consumer([BULK, INTERACTIVE]) as consumer:
            assert sorted(ids(drain(consumer, len(stored)))) == sorted(stored)
            publisher.publish([Message(BULK, b"", "later")])
            assert ids(drain(consumer, 1)) == ["later"]


# -------------------------------------------------------------- a clean stop


def test_who_takes_no_more_finishes_what_it_was_given_and_costs_nobody_an_attempt(
    broker: Broker, transport: Transport, publish: Callable[..., None]
) -> None:
    names = [f"{n:03}" for n in range(100)]
    publish(*names)
    with transport.consumer([BULK], prefetch=20) as consumer:
        done = consumer.receive(limit=10, wait_s=WAIT_S)
        consumer.take_no_more()
        consumer.ack(done)
        while batch := consumer.receive(limit=10, wait_s=WAIT_S):
            consumer.ack(batch)
            done += batch
        assert consumer.receive(limit=10, wait_s=WAIT_S) == []
    assert len(done) < 100
    with transport.consumer([BULK]) as other:
        rest = drain(other, 100 - len(done))
    assert {one.delivery_count for one in rest} == {1}
    assert sorted(ids(done) + ids(rest)) == names
    assert settled(broker, BULK, 0)


def test_who_takes_no_more_is_given_what_was_on_its_way_in_place_of_the_acknowledged(
    broker: Broker, transport: Transport, publish: Callable[..., None]
) -> None:
    publish(*(f"{n:03}" for n in range(400)))
    done = 0
    # What comes in place of what was just acknowledged is on its way: a race, so it is run several times.
    for batches in (2, 3, 4) * 2:
        with transport.consumer([BULK], prefetch=32) as consumer:
            for _ in range(batches):
                batch = consumer.receive(limit=16, wait_s=WAIT_S)
                consumer.ack(batch)
                done += len(batch)
            consumer.take_no_more()
            while batch := consumer.receive(limit=16, wait_s=WAIT_S):
                assert {one.delivery_count for one in batch} == {1}
                consumer.ack(batch)
                done += len(batch)
    with transport.consumer([BULK]) as other:
        rest = drain(other, 400 - done)
    assert {one.delivery_count for one in rest} == {1}
    assert settled(broker, BULK, 0)
