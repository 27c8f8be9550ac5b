"""What every transport has to do; a transport joins by a ``Broker`` in ``brokers.py``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.ports import Consumer, Delivery, Message, QueueFullError, Transport, TransportDownError
from pipeline.topology import BULK, INTERACTIVE, QUEUES, REQUEST_QUEUES, RESULTS, QueueSpec
from tests.plugins.brokers import Broker, Holder
from tests.plugins.processes import wait_for

WAIT_S = 30.0
"""How long a test waits for what must come; it comes much sooner."""
NEVER_S = 1.0
"""How long a test watches for what must not come."""
DEAD = QueueSpec(BULK).dead_letters
LIMIT = QueueSpec(BULK).delivery_limit


@pytest.fixture
def transport(broker: Broker) -> Iterator[Transport]:
    with broker.transport() as transport:
        transport.declare()
        yield transport


@pytest.fixture
def publish(transport: Transport) -> Iterator[Callable[..., None]]:
    """Publishes messages with these ids, whose bodies repeat them."""
    with transport.publisher() as publisher:

        def publish(*ids: str, queue: str = BULK) -> None:
            publisher.publish([Message(queue, f"body of {one}".encode(), one) for one in ids])

        yield publish


@pytest.fixture
def consumer(transport: Transport) -> Iterator[Consumer]:
    with transport.consumer([BULK]) as consumer:
        yield consumer


def ids(batch: list[Delivery]) -> list[str]:
    return [one.message_id for one in batch]


def connect(consumer: Consumer) -> None:
    """Let it find that nothing is there; a busy broker may not have answered when first asked."""

    def connected() -> bool:
        try:
            assert consumer.receive(limit=1, wait_s=0) == []
        except TransportDownError:
            return False
        return True

    wait_for(connected, WAIT_S, "a connection")


def settled(broker: Broker, queue: str, count: int) -> bool:
    """Whether the queue comes to have so many messages, held ones included: an ack is not answered."""
    wait_for(lambda: broker.messages(queue) == count, WAIT_S, f"{count} messages in {queue}")
    return True


def drain(consumer: Consumer, count: int) -> list[Delivery]:
    """Receive and acknowledge ``count`` messages."""
    found: list[Delivery] = []
    while len(found) < count:
        batch = consumer.receive(limit=32, wait_s=WAIT_S)
        assert batch, f"only {len(found)} of {count} came"
        consumer.ack(batch)
        found += batch
    return found


# -------------------------------------------------------------- there and back


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


# ------------------------------------------------------------ order and batches


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


# -------------------------------------------------------------- several at once


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


# ------------------------------------------------------------------ redelivery


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


# --------------------------------------------------------------------- outages


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


# --------------------------------------------------------------------- limits


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


# ------------------------------------------------------------------ a clean stop


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
