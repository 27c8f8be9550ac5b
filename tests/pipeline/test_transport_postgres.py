"""What the PostgreSQL transport promises beyond the suite."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from pipeline.ports import Consumer, Message, QueueFullError, Transport
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, QueueSpec
from pipeline.transports import transport_from_url
from tests.plugins.brokers import Holder, PostgresBroker

WAIT_S = 30.0


@pytest.fixture
def broker(postgres_broker: PostgresBroker) -> PostgresBroker:
    return postgres_broker


@pytest.fixture
def transport(broker: PostgresBroker) -> PostgresTransport:
    transport = broker.transport()
    transport.declare()
    return transport


@pytest.fixture
def consumer(transport: PostgresTransport) -> Iterator[Consumer]:
    with transport.consumer([BULK]) as consumer:
        yield consumer


def publish(transport: PostgresTransport, *ids: str) -> None:
    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"", one) for one in ids])


def ready_and_held(transport: Transport, queue: str = BULK) -> tuple[int, int | None]:
    depth = transport.depths()[queue]
    return depth.ready, depth.held


def cut_connections(url: str, *, listening: bool) -> None:
    """End the consumers' sessions that receive (``listening``), or those that keep the leases."""
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'vitrine queue' "
            "AND %s = (pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))",
            [listening],
        ).fetchall()
    assert ended == [(True,)]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_address_gives_the_postgresql_transport(broker: PostgresBroker, scheme: str) -> None:
    with transport_from_url(broker.url.replace("postgresql", scheme, 1)) as transport:
        transport.declare()
        assert ready_and_held(transport) == (0, 0)


def test_an_address_without_a_transport_is_refused_without_repeating_its_password() -> None:
    with pytest.raises(ValueError, match="must begin with postgresql://") as refused:
        transport_from_url("redis://:secret@localhost/")
    assert "secret" not in str(refused.value)


def test_a_process_that_neither_lives_nor_dies_loses_its_messages_with_its_lease(
    transport: PostgresTransport, consumer: Consumer, holder: Holder
) -> None:
    publish(transport, "a")
    process = holder(queue=BULK, limit=1, lease_s=2)
    process.send(signal.SIGSTOP)
    before = time.monotonic()
    (again,) = consumer.receive(limit=1, wait_s=WAIT_S)
    assert 0.5 < time.monotonic() - before < 20
    assert again.delivery_count == 2
    process.send(signal.SIGCONT)
    process.acknowledge()
    assert ready_and_held(transport) == (0, 1)
    consumer.ack([again])
    assert ready_and_held(transport) == (0, 0)


def test_a_restart_of_the_server_leaves_messages_with_their_holder_and_costs_no_attempt(
    broker: PostgresBroker, transport: PostgresTransport, consumer: Consumer
) -> None:
    publish(transport, "a")
    held = consumer.receive(limit=1, wait_s=WAIT_S)
    broker.stop()
    broker.start()
    with transport.consumer([BULK]) as other:
        assert other.receive(limit=1, wait_s=4) == []
    consumer.ack(held)
    assert ready_and_held(transport) == (0, 0)


def test_what_was_taken_without_the_answer_arriving_comes_again(
    broker: PostgresBroker, transport: PostgresTransport, consumer: Consumer
) -> None:
    publish(transport, "known", "lost")
    known = consumer.receive(limit=1, wait_s=WAIT_S)
    with psycopg.connect(broker.url) as connection:
        connection.execute(
            "UPDATE queue.message SET deliveries = 1, consumer = (SELECT id FROM queue.consumer)"
        )
    cut_connections(broker.url, listening=True)
    (lost,) = consumer.receive(limit=1, wait_s=WAIT_S)
    assert (lost.message_id, lost.delivery_count) == ("lost", 2)
    consumer.ack([*known, lost])
    assert ready_and_held(transport) == (0, 0)


def test_a_consumer_whose_proof_of_life_is_cut_off_goes_on(
    broker: PostgresBroker, transport: PostgresTransport, consumer: Consumer
) -> None:
    consumer.receive(limit=1, wait_s=0)
    for number in range(3):
        cut_connections(broker.url, listening=False)
        transport.depths()
        publish(transport, f"message {number}")
        (delivery,) = consumer.receive(limit=1, wait_s=WAIT_S)
        consumer.ack([delivery])
    assert ready_and_held(transport) == (0, 0)


def test_a_changed_delivery_limit_holds_from_the_next_declaration(broker: PostgresBroker) -> None:
    for limit in (5, 1):
        transport = PostgresTransport(broker.url, [QueueSpec(BULK, delivery_limit=limit)])
        transport.declare()
    publish(transport, "a")
    with transport.consumer([BULK]) as consumer:
        consumer.receive(limit=1, wait_s=WAIT_S)
    assert ready_and_held(transport, BULK + ".dead") == (1, 0)


def test_declaring_again_waits_for_no_backup_that_reads_the_tables(
    broker: PostgresBroker, transport: PostgresTransport
) -> None:
    with psycopg.connect(broker.url) as backup, ThreadPoolExecutor(1) as pool:
        backup.execute("LOCK TABLE queue.queue, queue.message, queue.consumer IN ACCESS SHARE MODE")
        declared = pool.submit(transport.declare)
        try:
            declared.result(timeout=20)
        finally:
            backup.rollback()


def test_queues_declared_before_there_was_a_limit_of_their_length_get_one(broker: PostgresBroker) -> None:
    broker.transport().declare()
    with psycopg.connect(broker.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE queue.queue DROP COLUMN max_length")
    transport = broker.transport(queues=[QueueSpec(BULK, max_length=2)])
    transport.declare()
    with transport.publisher() as publisher, pytest.raises(QueueFullError) as full:
        publisher.publish([Message(BULK, b"")] * 3)
    assert full.value.refused == {2}


def test_a_dead_letter_cannot_be_rejected_again(transport: PostgresTransport, consumer: Consumer) -> None:
    publish(transport, "a")
    consumer.reject(consumer.receive(limit=1, wait_s=WAIT_S)[0], reason="bad")
    with transport.consumer([BULK + ".dead"]) as reader:
        (dead,) = reader.receive(limit=1, wait_s=WAIT_S)
        with pytest.raises(ValueError, match="dead letter already"):
            reader.reject(dead, reason="bad")


def test_nothing_stays_in_the_tables_after_the_work_is_done(
    broker: PostgresBroker, transport: PostgresTransport
) -> None:
    publish(transport, "a", "b")
    with transport.consumer([BULK]) as consumer:
        consumer.ack(consumer.receive(limit=2, wait_s=WAIT_S))
    with psycopg.connect(broker.url) as connection:
        assert connection.execute("SELECT count(*) FROM queue.message").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM queue.consumer").fetchone() == (0,)
