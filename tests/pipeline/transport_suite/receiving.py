"""Receiving and counting messages, whatever the transport."""

from __future__ import annotations

from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.topology import BULK, QueueSpec
from tests.plugins.brokers import Broker
from tests.plugins.processes import wait_for

WAIT_S = 30.0
"""How long a test waits for what must come; it comes much sooner."""
NEVER_S = 1.0
"""How long a test watches for what must not come."""
DEAD = QueueSpec(BULK).dead_letters
LIMIT = QueueSpec(BULK).delivery_limit


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
