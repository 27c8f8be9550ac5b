"""How long the queues are and who reads them."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from pipeline.transports import transport_from_url


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue, or dead-letter queue, of the broker."""

    name: str
    ready: int
    held: int | None
    """By consumers; None: the broker does not tell (RabbitMQ)."""
    consumers: int


def queues_read() -> tuple[QueueState, ...]:
    """Every declared queue, in the order of its declaration. May take as long as the broker hangs.

    Raises:
        TransportDownError: the broker does not answer, or a queue is not declared yet.
    """
    with transport_from_url(settings.QUEUE_URL) as transport:
        return tuple(
            QueueState(name, depth.ready, depth.held, depth.consumers)
            for name, depth in transport.depths().items()
        )
