"""The transport behind an address."""

from __future__ import annotations

from pipeline.ports import Transport


def transport_from_url(url: str) -> Transport:
    """The broker that ``VITRINE_QUEUE_URL`` names; nothing is connected yet.

    Args:
        url: ``postgresql://…`` in any form that libpq understands, or ``amqp(s)://…`` with what
            :mod:`pipeline.rabbitmq.access` lets stand in the environment.

    Raises:
        ValueError: there is no transport for such an address.
    """
    scheme = url.partition("://")[0]
    # A process loads the driver of the broker that it uses.
    if scheme in {"postgresql", "postgres"}:
        from pipeline.postgres_queue import PostgresTransport  # noqa: PLC0415

        return PostgresTransport(url)
    if scheme in {"amqp", "amqps"}:
        from pipeline.rabbitmq import RabbitTransport  # noqa: PLC0415

        return RabbitTransport(url)
    # The address itself may hold a password, so it is not repeated.
    raise ValueError("The queue's address must begin with postgresql://, amqp:// or amqps://.")
