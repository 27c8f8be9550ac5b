"""The port :class:`pipeline.ports.Transport` on RabbitMQ; ``docs/queue.md`` describes the promises."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.closable import Closable
from pipeline.ports import QueueDepth
from pipeline.rabbitmq import queues
from pipeline.rabbitmq.access import connection_parameters
from pipeline.rabbitmq.consumer import RabbitConsumer
from pipeline.rabbitmq.link import Link
from pipeline.rabbitmq.publisher import RabbitPublisher
from pipeline.topology import QUEUES, QueueSpec


class RabbitTransport(Closable):
    """The queues of one virtual host.

    Args:
        url: ``amqp(s)://user:password@host:port/vhost``; see :mod:`pipeline.rabbitmq.access` for what may
            stand in the environment instead.
        specs: what to declare; a dead-letter queue comes with each.

    Raises:
        ValueError: an address or a certificate that cannot be used.
    """

    def __init__(self, url: str, specs: Sequence[QueueSpec] = QUEUES) -> None:
        self._parameters = connection_parameters(url)
        self._specs = tuple(specs)

    def declare(self) -> None:
        """Create the queues that are not there.

        Raises:
            TransportDownError: the broker does not answer, or has a queue with other arguments.
        """
        queues.declare(self._parameters, self._specs)

    def publisher(self) -> RabbitPublisher:
        """A publisher on a connection of its own."""
        return RabbitPublisher(lambda: self._connect("publisher"), {spec.name for spec in self._specs})

    def consumer(self, queues: Sequence[str], *, prefetch: int = 64) -> RabbitConsumer:
        """A consumer of ``queues`` in that order of priority; what it rejects goes by another connection.

        Raises:
            KeyError: a queue that the topology does not declare.
        """
        dead = {spec.dead_letters for spec in self._specs}
        known = {spec.name for spec in self._specs} | dead
        for queue in queues:
            if queue not in known:
                raise KeyError(queue)
        undertaker = RabbitPublisher(lambda: self._connect("dead letters"), dead)
        return RabbitConsumer(self._connect, queues, prefetch=prefetch, undertaker=undertaker)

    def depths(self) -> dict[str, QueueDepth]:
        """Every queue by name; ``held`` is None, for AMQP does not tell it.

        Raises:
            TransportDownError: the broker does not answer.
        """
        return queues.depths(self._parameters, self._specs)

    def _connect(self, name: str, *, heard: Callable[[], None] = lambda: None, **options: Any) -> Link:
        """A new link, on a broker that has every queue: it may have come back empty.

        ``heard`` is called whenever the broker has answered.
        """
        queues.declare(self._parameters, self._specs, heard)
        return Link(copy.copy(self._parameters), name=name, **options)
