"""A transport of every kind; one joins by a ``Broker`` in ``brokers.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipeline.ports import Consumer, Message, Transport
from pipeline.topology import BULK
from tests.plugins.brokers import Broker


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
