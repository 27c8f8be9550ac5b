"""Publishing with pipelined confirms: a whole batch is on its way before the first answer is awaited.

One by one, a quorum queue confirms some hundred messages per second; pipelined, more than ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import pika
from pika.channel import Channel
from pika.spec import Basic

from pipeline.closable import Closable
from pipeline.ports import Message, QueueFullError, TransportDownError
from pipeline.rabbitmq.link import Link, give

Headers = dict[str, str]


@dataclass
class _Batch:
    """The messages of one call, by the delivery tag that the channel gave them."""

    messages: Sequence[Message]
    answer: Future[None]
    open: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)


class _ConfirmingChannel:
    """A channel whose every publish is answered. Its methods run in the I/O thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._last_tag = 0
        self._batch: _Batch | None = None
        self._channel = link.open_channel(self._on_closed)
        link.ask(self._ask_for_confirms)

    def publish(self, batch: _Batch, headers: Headers | None) -> None:
        self._batch = batch
        for position, message in enumerate(batch.messages):
            self._last_tag += 1
            batch.open[self._last_tag] = position
            self._channel.basic_publish(
                exchange="",
                routing_key=message.queue,
                body=message.body,
                properties=pika.BasicProperties(
                    content_type="application/json",
                    delivery_mode=pika.DeliveryMode.Persistent.value,
                    message_id=message.message_id,
                    headers=dict(headers) if headers else None,
                ),
                # Otherwise a message for a queue that was deleted would be confirmed and gone.
                mandatory=True,
            )

    def _ask_for_confirms(self, answer: Future[None]) -> None:
        self._channel.add_on_return_callback(self._on_return)
        self._channel.confirm_delivery(self._on_confirm, callback=lambda _frame: give(answer, None))

    def _on_confirm(self, frame: Any) -> None:
        method: Basic.Ack | Basic.Nack = frame.method
        batch = self._batch
        if batch is None:
            return
        tags = (
            list(takewhile(lambda tag: tag <= method.delivery_tag, batch.open))
            if method.multiple
            else [method.delivery_tag]
        )
        for tag in tags:
            position = batch.open.pop(tag, None)
            if position is not None and isinstance(method, Basic.Nack):
                batch.refused.add(position)
        if not batch.open:
            self._batch = None
            give(batch.answer, None)

    def _on_return(self, _channel: Channel, method: Basic.Return, _properties: object, _body: bytes) -> None:
        if self._batch is not None:
            self._batch.lost.add(str(method.routing_key))

    def _on_closed(self, reason: str) -> None:
        self._link.drop(reason)


class RabbitPublisher(Closable):
    """Implements :class:`pipeline.ports.Publisher`; connects when it is first used, and again after a loss.

    Args:
        connect: opens a link to a broker on which every queue is declared.
        queues: what may be published to.
    """

    def __init__(self, connect: Callable[[], Link], queues: Collection[str]) -> None:
        self._connect = connect
        self._queues = frozenset(queues)
        self._link: Link | None = None
        self._channel: _ConfirmingChannel | None = None

    def publish(self, messages: Sequence[Message], *, headers: Headers | None = None) -> None:
        """Return when a majority of the broker's nodes has every message on disk.

        Raises:
            QueueFullError: all but those that it names are stored.
            TransportDownError: some may be stored and some not; publishing again is harmless.
            KeyError: a queue that the topology does not declare.
        """
        for message in messages:
            if message.queue not in self._queues:
                raise KeyError(message.queue)
        if not messages:
            return
        link, channel = self._ready()
        sent: list[_Batch] = []

        def send(answer: Future[None]) -> None:
            sent.append(_Batch(messages, answer))
            channel.publish(sent[0], headers)

        link.ask(send)
        (batch,) = sent
        if batch.lost:
            # Deleted while we were connected: the next connection declares it anew.
            link.drop("a queue was deleted")
            raise TransportDownError(f"the broker has no queue {', '.join(sorted(batch.lost))}")
        if batch.refused:
            full = frozenset(messages[position].queue for position in batch.refused)
            raise QueueFullError(frozenset(batch.refused), full)

    def close(self) -> None:
        """Give the connection back."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _ready(self) -> tuple[Link, _ConfirmingChannel]:
        if self._link is None or self._channel is None or self._link.is_lost:
            if self._link is not None:
                with suppress(TransportDownError):
                    self._link.close()
            self._link = self._connect()
            self._channel = _ConfirmingChannel(self._link)
        return self._link, self._channel
