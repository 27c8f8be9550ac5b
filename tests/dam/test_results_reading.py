"""The writer reads a batch ahead, but never beside a message that may kill the process."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dam.loops.results_reading import Entry, ReadingAhead
from pipeline.ports import Delivery, Message, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import RESULTS
from tests.dam.answers import SOON

pytestmark = pytest.mark.django_db(transaction=True)


def _publish(broker: PostgresTransport, *bodies: bytes) -> None:
    with broker.publisher() as publisher:
        publisher.publish([Message(RESULTS, body) for body in bodies])


def _bodies(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.delivery.body for entry in entries]


def _held(broker: PostgresTransport) -> int | None:
    return broker.depths()[RESULTS].held


def test_the_next_batch_is_in_hand_while_one_is_worked_on(broker: PostgresTransport) -> None:
    _publish(broker, b"1", b"2", b"3", b"4", b"5")
    with broker.consumer([RESULTS]) as consumer, ReadingAhead(consumer, limit=2) as reading:
        assert _bodies(reading.receive(wait_s=SOON)) == [b"1", b"2"]
        assert _held(broker) == 4
        assert _bodies(reading.receive(wait_s=SOON)) == [b"3", b"4"]
        assert _bodies(reading.receive(wait_s=SOON)) == [b"5"]
        assert reading.receive(wait_s=0) == []


def test_nothing_else_is_in_hand_while_a_redelivered_message_is_worked_on(broker: PostgresTransport) -> None:
    _publish(broker, b"1", b"2", b"3")
    with broker.consumer([RESULTS]) as killed:
        killed.receive(limit=2, wait_s=SOON)
    with broker.consumer([RESULTS]) as consumer, ReadingAhead(consumer, limit=2) as reading:
        worked_on = []
        while entries := reading.receive(wait_s=0):
            if any(entry.delivery.delivery_count > 1 for entry in entries):
                worked_on += _bodies(entries)
                assert _held(broker) == 1
            consumer.ack([entry.delivery for entry in entries])
        assert worked_on == [b"1", b"2"]


def test_what_is_in_hand_is_handed_out_before_an_outage_of_the_broker_is_told() -> None:
    with ReadingAhead(_OnceOnly(), limit=1) as reading:  # type: ignore[arg-type]
        assert _bodies(reading.receive(wait_s=0)) == [b"1"]
        with pytest.raises(TransportDownError):
            reading.receive(wait_s=0)


class _OnceOnly:
    """A consumer whose broker goes away after the first delivery."""

    def __init__(self) -> None:
        self._left = [Delivery(RESULTS, b"1", "", 1, None)]

    def receive(self, *, limit: int, wait_s: float) -> list[Delivery]:
        assert limit == 1
        assert wait_s == 0
        if not self._left:
            raise TransportDownError
        return [self._left.pop()]
