"""The topology in RabbitMQ's words, and its declaration.

Arguments of a queue are immutable: ``docs/adr/0005-queue-limits.md`` says how a limit is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pika
from pika.exceptions import ChannelClosedByBroker

from pipeline.ports import QueueDepth, TransportDownError
from pipeline.rabbitmq.errors import told_as_outage
from pipeline.topology import QueueSpec

# A dead letter must never be thrown away for having been looked at; 4.x would, at its default of 20.
DEAD_DELIVERY_LIMIT = 1_000_000
DEAD_MAX_LENGTH = 100_000

_PRECONDITION_FAILED = 406


class QueueMismatchError(TransportDownError):
    """The broker has a queue of that name with other arguments; an operator has to decide."""


def arguments(spec: QueueSpec) -> dict[str, dict[str, Any]]:
    """The arguments of a queue and of its dead-letter queue, by name.

    The dead-letter strategy ``at-least-once`` keeps a message in its queue until the dead-letter queue
    has confirmed it; it works with the overflow ``reject-publish`` only.
    """
    return {
        spec.name: {
            "x-queue-type": "quorum",
            "x-delivery-limit": broker_limit(spec),
            "x-max-length": spec.max_length,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": spec.dead_letters,
            "x-dead-letter-strategy": "at-least-once",
        },
        spec.dead_letters: {
            "x-queue-type": "quorum",
            "x-delivery-limit": DEAD_DELIVERY_LIMIT,
            "x-max-length": DEAD_MAX_LENGTH,
            "x-overflow": "reject-publish",
        },
    }


def broker_limit(spec: QueueSpec) -> int:
    """RabbitMQ counts returns, we count deliveries: the first delivery is no return."""
    return spec.delivery_limit - 1


def declare(
    parameters: pika.URLParameters,
    specs: Sequence[QueueSpec],
    heard: Callable[[], None] = lambda: None,
) -> None:
    """Declare every queue on a connection of its own; dead-letter queues first, for others name them.

    Args:
        parameters: of the connection.
        specs: what to declare.
        heard: called whenever the broker has answered.

    Raises:
        TransportDownError: the broker does not answer, or lets us not in.
        QueueMismatchError: a queue exists with other arguments.
    """
    with told_as_outage(), pika.BlockingConnection(parameters) as connection:
        for spec in specs:
            for name, wanted in reversed(arguments(spec).items()):
                heard()
                channel = connection.channel()
                try:
                    channel.queue_declare(name, durable=True, arguments=wanted)
                except ChannelClosedByBroker as error:
                    if error.reply_code != _PRECONDITION_FAILED:
                        raise
                    raise QueueMismatchError(
                        f"The broker's queue {name} was declared with other arguments ({error.reply_text}). "
                        "Let it run empty, delete it, and it is declared anew; to lower a limit at once "
                        "use an operator policy (docs/queue.md)."
                    ) from None
                channel.close()


def depths(parameters: pika.URLParameters, specs: Sequence[QueueSpec]) -> dict[str, QueueDepth]:
    """How many messages wait in each queue, and who is subscribed; AMQP does not tell how many are held.

    Raises:
        TransportDownError: the broker does not answer, or a queue is not declared.
    """
    found = {}
    with told_as_outage(), pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        for name in (name for spec in specs for name in (spec.name, spec.dead_letters)):
            answer = channel.queue_declare(name, passive=True)
            found[name] = QueueDepth(
                ready=answer.method.message_count, held=None, consumers=answer.method.consumer_count
            )
    return found
