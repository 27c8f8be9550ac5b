"""Publishing with pipelined confirms: a whole batch is on its way before the first answer is awaited.

One by one, a quorum queue confirms some hundred messages per second; pipelined, more than ten thousand.

A broker in alarm (short of memory or disk) stops reading from a connection in the middle of what it
publishes. What was sent so far is stored when the alarm is over, whether or not the connection is still
there then, so nothing is sent again on another one: the connection is kept, and the next call learns first
what became of it. A new connection sends a message to nowhere before all others: if that is not confirmed
there is an alarm, and nothing was sent that might be stored later.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import Any

import pika
from pika.channel import Channel
from pika.spec import Basic

from pipeline.closable import Closable
from pipeline.ports import Message, QueueFullError, TransportDownError
from pipeline.rabbitmq.link import Link, give

Headers = dict[str, str]

_Known = tuple[Message, frozenset[tuple[str, str]]]

# With a body: a message without one passes an alarm.
_TO_NOWHERE = Message("vitrine.nowhere", b"?")
# Who publishes the same message later than that means another one.
_REMEMBERED_S = 60.0


@dataclass
class _Batch:
    """The messages of one call, by the delivery tag that the channel gave them."""

    messages: Sequence[Message]
    headers: Headers
    answer: Future[None] = field(default_factory=Future)
    open: dict[int, int] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)

    @property
    def stored(self) -> Iterator[_Known]:
        """Once it is answered: what the broker has."""
        for position, message in enumerate(self.messages):
            if position not in self.refused and message.queue not in self.lost:
                yield _known(message, self.headers)


class _ConfirmingChannel:
    """A channel whose every publish is answered. Its methods run in the I/O thread."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._last_tag = 0
        self._batch: _Batch | None = None
        self._answer: Future[None] = Future()
        self._channel = link.open_channel(self._on_closed)
        link.ask(self._ask_for_confirms)

    def publish(self, batch: _Batch, answer: Future[None]) -> None:
        self._batch, self._answer = batch, answer
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
                    headers=dict(batch.headers) or None,
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
            give(self._answer, None)

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
        self._unanswered: _Batch | None = None
        # What was confirmed to nobody, because the call that sent it had failed already.
        self._untold: Counter[_Known] = Counter()
        self._untold_until = 0.0

    def publish(self, messages: Sequence[Message], *, headers: Headers | None = None) -> None:
        """Return when a majority of the broker's nodes has every message on disk.

        What an earlier call sent in vain, for an alarm of the broker came between, is not sent again.

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
        untold = self._untold.copy()
        missing: list[int] = []
        for position, message in enumerate(messages):
            known = _known(message, headers or {})
            if untold[known]:
                untold[known] -= 1
            else:
                missing.append(position)
        batch = _Batch([messages[position] for position in missing], headers or {})
        if missing:
            self._send(link, channel, batch)
            link.wait(batch.answer)
            self._unanswered = None
        if batch.lost:
            # Deleted while we were connected: the next connection declares it anew.
            link.drop("a queue was deleted")
            raise TransportDownError(f"the broker has no queue {', '.join(sorted(batch.lost))}")
        self._untold = untold
        if batch.refused:
            refused = frozenset(missing[position] for position in batch.refused)
            raise QueueFullError(refused, frozenset(messages[position].queue for position in refused))

    def close(self) -> None:
        """Give the connection back. What an alarm has kept from being confirmed may be stored later."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _ready(self) -> tuple[Link, _ConfirmingChannel]:
        """A connection on which everything is answered."""
        if self._link is None or self._channel is None or self._link.is_lost:
            if self._link is not None:
                with suppress(TransportDownError):
                    self._link.close()
            self._channel = self._unanswered = None
            self._link = self._connect()
            self._channel = _ConfirmingChannel(self._link)
            self._send(self._link, self._channel, _Batch([_TO_NOWHERE], {}))
        if time.monotonic() > self._untold_until:
            self._untold.clear()
        if self._unanswered is not None:
            self._link.wait(self._unanswered.answer)
            self._untold.update(self._unanswered.stored)
            self._untold_until = time.monotonic() + _REMEMBERED_S
            self._unanswered = None
        return self._link, self._channel

    def _send(self, link: Link, channel: _ConfirmingChannel, batch: _Batch) -> None:
        batch.answer = link.start(partial(channel.publish, batch))
        self._unanswered = batch


def _known(message: Message, headers: Headers) -> _Known:
    return message, frozenset(headers.items())
