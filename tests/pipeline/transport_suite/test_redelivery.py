"""What every transport has to do: messages come again, and end as dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.ports import Consumer, Transport
from pipeline.topology import BULK, INTERACTIVE
from tests.pipeline.transport_suite.receiving import (
    DEAD,
    LIMIT,
    NEVER_S,
    WAIT_S,
    connect,
    drain,
    ids,
    settled,
)
from tests.plugins.brokers import Broker, Holder


def test_what_was_acknowledged_just_before_the_close_does_not_come_again(
    transport: Transport, publish: Callable[..., None]
) -> None:
    publish(*(f"{n:04}" for n in range(2000)))
    done = 0
    # A broker may still be busy with the first of so many when the connection ends: a race.
    for _ in range(3):
        with transport.consumer([BULK], prefetch=300) as consumer:
            batch = consumer.receive(limit=150, wait_s=WAIT_S, linger_s=1)
            consumer.take_no_more()
            while batch:
                assert {one.delivery_count for one in batch} == {1}
                consumer.ack(batch)
                done += len(batch)
                batch = consumer.receive(limit=150, wait_s=0)
    with transport.consumer([BULK]) as other:
        assert {one.delivery_count for one in drain(other, 2000 - done)} == {1}


def test_what_came_back_from_a_dead_process_keeps_nobody_waiting_in_an_earlier_queue(
    transport: Transport, publish: Callable[..., None], holder: Holder
) -> None:
    publish(*(f"{n}" for n in range(20)))
    holder(queue=BULK, limit=20).kill()
    with transport.consumer([INTERACTIVE, BULK]) as consumer:
        assert drain(consumer, 1)[0].delivery_count == 2
        publish("interactive", queue=INTERACTIVE)
        assert INTERACTIVE in {one.queue for one in drain(consumer, 2)}


def test_what_comes_back_while_others_are_received_keeps_nobody_waiting_either(
    transport: Transport, publish: Callable[..., None]
) -> None:
    publish(*(f"{n}" for n in range(20)))
    dying = transport.consumer([BULK], prefetch=20)
    assert len(dying.receive(limit=20, wait_s=WAIT_S, linger_s=WAIT_S)) == 20
    with transport.consumer([INTERACTIVE, BULK]) as consumer:
        connect(consumer)
        dying.close()
        assert drain(consumer, 1)[0].delivery_count == 2
        publish("interactive", queue=INTERACTIVE)
        assert INTERACTIVE in {one.queue for one in drain(consumer, 2)}


def test_a_closed_consumer_returns_what_it_held_at_once_for_an_attempt(
    transport: Transport, publish: Callable[..., None]
) -> None:
    publish("a")
    with transport.consumer([BULK]) as first:
        first.receive(limit=1, wait_s=WAIT_S)
    with transport.consumer([BULK]) as second:
        (again,) = second.receive(limit=1, wait_s=WAIT_S)
        assert again.delivery_count == 2


def test_the_messages_of_a_killed_process_come_again_soon_and_one_by_one(
    transport: Transport, publish: Callable[..., None], holder: Holder
) -> None:
    publish("a", "b", "c")
    process = holder(queue=BULK, limit=3)
    assert process.received == [("a", 1), ("b", 1), ("c", 1)]
    with transport.consumer([BULK]) as consumer:
        assert consumer.receive(limit=10, wait_s=0) == []
        process.kill()
        before = time.monotonic()
        batches = []
        while len(batches) < 3:
            batches.append(consumer.receive(limit=10, wait_s=WAIT_S, linger_s=0.2))
            consumer.ack(batches[-1])
        assert time.monotonic() - before < 15
    assert sorted(ids(batch) for batch in batches) == [["a"], ["b"], ["c"]]
    assert [one.delivery_count for batch in batches for one in batch] == [2, 2, 2]


def test_a_redelivered_message_joins_no_batch_of_others(
    transport: Transport, publish: Callable[..., None]
) -> None:
    publish("again")
    with transport.consumer([BULK]) as first:
        first.receive(limit=1, wait_s=WAIT_S)
    publish("fresh 1", "fresh 2")
    with transport.consumer([BULK]) as second:
        batches = []
        for _ in range(2):
            batches.append(second.receive(limit=2, wait_s=WAIT_S, linger_s=5))
            second.ack(batches[-1])
    assert sorted(ids(batch) for batch in batches) == [["again"], ["fresh 1", "fresh 2"]]


def test_a_message_that_kills_every_process_ends_as_a_dead_letter(
    broker: Broker, transport: Transport, publish: Callable[..., None], holder: Holder
) -> None:
    publish("poison")
    for count in range(1, LIMIT + 1):
        process = holder(queue=BULK, limit=1)
        assert process.received == [("poison", count)]
        process.kill()
    with transport.consumer([DEAD]) as consumer:
        (dead,) = consumer.receive(limit=1, wait_s=WAIT_S)
        assert (dead.queue, dead.message_id, dead.body) == (DEAD, "poison", b"body of poison")
        assert dead.dead_reason == "delivery limit"
        assert settled(broker, BULK, 0)


def test_a_rejected_message_is_a_dead_letter_at_once_with_its_reason(
    broker: Broker, transport: Transport, consumer: Consumer, publish: Callable[..., None]
) -> None:
    publish("bad", "good")
    bad, good = consumer.receive(limit=2, wait_s=WAIT_S, linger_s=WAIT_S)
    consumer.reject(bad, reason="no TagRequest")
    consumer.ack([good])
    with transport.consumer([DEAD]) as dead_letters:
        (dead,) = dead_letters.receive(limit=2, wait_s=WAIT_S)
        assert (dead.message_id, dead.dead_reason) == ("bad", "no TagRequest")
        dead_letters.ack([dead])
    assert settled(broker, DEAD, 0)
    assert broker.messages(BULK) == 0


def test_dead_letters_may_be_read_as_often_as_one_likes(
    transport: Transport, consumer: Consumer, publish: Callable[..., None]
) -> None:
    publish("bad")
    (bad,) = consumer.receive(limit=1, wait_s=WAIT_S)
    consumer.reject(bad, reason="bad")
    for _ in range(LIMIT + 3):
        with transport.consumer([DEAD]) as reader:
            (dead,) = reader.receive(limit=1, wait_s=WAIT_S)
            assert dead.dead_reason == "bad"


def test_a_poisonous_message_takes_none_with_it_that_was_delivered_beside_it(
    transport: Transport, publish: Callable[..., None], holder: Holder
) -> None:
    neighbours = [f"{n:03}" for n in range(30)]
    publish("poison", *neighbours)
    # It dies with all of them in its hands; then again and again with whatever it is given at once.
    holder(queue=BULK, limit=10).kill()
    with transport.consumer([DEAD]) as dead_letters:
        done: list[str] = []
        while not (dead := dead_letters.receive(limit=10, wait_s=0)):
            with transport.consumer([BULK]) as consumer:
                while "poison" not in ids(batch := consumer.receive(limit=10, wait_s=NEVER_S)):
                    if not batch:
                        break
                    consumer.ack(batch)
                    done += ids(batch)
    assert ids(dead) == ["poison"]
    with transport.consumer([BULK]) as consumer:
        done += ids(drain(consumer, 30 - len(done)))
    assert sorted(done) == neighbours
