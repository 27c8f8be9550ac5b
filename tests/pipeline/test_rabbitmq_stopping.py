"""A process that is told to stop ends while work never ceases to come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.ports import Message, Transport
from pipeline.topology import BULK, INTERACTIVE, RESULTS
from tests.plugins.brokers import RabbitBroker

WAIT_S = 60.0
EVERY_S = 0.1


@contextmanager
def never_quiet(transport: Transport) -> Iterator[list[str]]:
    """Ten messages a second; their ids."""
    sent: list[str] = []
    stop = threading.Event()

    def publish() -> None:
        with transport.publisher() as publisher:
            while not stop.wait(EVERY_S):
                publisher.publish([Message(RESULTS, b"", f"{len(sent)}")])
                sent.append(f"{len(sent)}")

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(300)
def test_a_consumer_takes_no_more_although_more_keeps_coming(rabbit_broker: RabbitBroker) -> None:
    transport = rabbit_broker.transport()
    transport.declare()
    with (
        never_quiet(transport) as sent,
        transport.consumer([INTERACTIVE, BULK, RESULTS], prefetch=500) as one,
    ):
        got = one.receive(limit=10, wait_s=WAIT_S)
        began = time.monotonic()
        one.take_no_more()
        # Filling what may be sent in advance would take the better part of a minute.
        assert time.monotonic() - began < 30
        while got:
            one.ack(got)
            last = int(got[-1].message_id)
            got = one.receive(limit=100, wait_s=0)
        assert last < 400
    # The next one gets the rest, in order.
    with transport.consumer([RESULTS]) as other:
        rest: list[int] = []
        while len(rest) < len(sent) - last - 1:
            batch = other.receive(limit=100, wait_s=WAIT_S)
            rest += [int(delivery.message_id) for delivery in batch]
            other.ack(batch)
        assert sorted(rest) == list(range(last + 1, len(sent)))
