"""The transport behind an address."""

from __future__ import annotations

from pipeline.ports import Transport
from pipeline.postgres_queue import PostgresTransport


def transport_from_url(url: str) -> Transport:
    """The broker that ``VITRINE_QUEUE_URL`` names; nothing is connected yet.

    Args:
        url: ``postgresql://…`` in any form that libpq understands.

    Raises:
        ValueError: there is no transport for such an address.
    """
    scheme = url.partition("://")[0]
    if scheme in {"postgresql", "postgres"}:
        return PostgresTransport(url)
    if scheme in {"amqp", "amqps"}:
        raise ValueError("There is no RabbitMQ transport yet: give the queue a postgresql:// address.")
    # The address itself may hold a password, so it is not repeated.
    raise ValueError("The queue's address must begin with postgresql://.")
