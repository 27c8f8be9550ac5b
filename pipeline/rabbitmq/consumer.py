"""Receiving in micro-batches, and coming back after an outage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from pipeline.closable import Closable
from pipeline.ports import Delivery, Message, TransportDownError
from pipeline.rabbitmq.line import REASON_HEADER, Token
from pipeline.rabbitmq.link import Link
from pipeline.rabbitmq.opening import Opening
from pipeline.rabbitmq.publisher import RabbitPublisher
from pipeline.rabbitmq.subscription import Subscription
from pipeline.topology import DEAD_SUFFIX

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_LONGEST_REASON = 500


class RabbitConsumer(Closable):
    """Implements :class:`pipeline.ports.Consumer`; for one thread, like every consumer.

    Args:
        connect: opens a link to a broker on which every queue is declared.
        queues: in the order of their priority.
        prefetch: un-acked messages of each queue that the broker sends in advance.
        undertaker: publishes to the dead-letter queues.
    """

    def __init__(
        self,
        connect: Callable[..., Link],
        queues: Sequence[str],
        *,
        prefetch: int,
        undertaker: RabbitPublisher,
    ) -> None:
        self._connect = connect
        self._queues = tuple(queues)
        self._prefetch = prefetch
        self._undertaker = undertaker
        self._subscription: Subscription | None = None
        self._opening: Opening | None = None
        self._ending = False

    def receive(self, *, limit: int, wait_s: float, linger_s: float = 0.0) -> list[Delivery]:
        """Up to ``limit`` deliveries of one queue; see :class:`pipeline.ports.Consumer`.

        Takes at most a second or two longer where a network swallows everything. What was asked of the
        broker until then, a connection among it, is awaited further by the next call.

        Raises:
            TransportDownError: the broker did not come back within ``wait_s`` seconds.
        """
        until = time.monotonic() + wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                subscription = self._alive(until)
                if subscription is None:
                    return []
                batch = subscription.take(limit, until=until, linger_s=linger_s)
                if batch or self._ending or (time.monotonic() >= until and not subscription.is_lost):
                    return batch
            except TransportDownError:
                if time.monotonic() + pause_s >= until:
                    raise
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge what the present connection delivered; nothing happens to the rest, which comes again.

        Raises:
            TransportDownError: nothing is known; acknowledging again is harmless.
        """
        tokens = [token for token in map(_token, deliveries) if self._is_ours(token)]
        if tokens:
            self._settle(tokens)

    def reject(self, delivery: Delivery, *, reason: str) -> None:
        """Store a copy with its reason in the dead-letter queue, then acknowledge.

        A crash between the two doubles it.

        Raises:
            TransportDownError: nothing is known; rejecting again is harmless.
            ValueError: it is a dead letter already.
        """
        if delivery.queue.endswith(DEAD_SUFFIX):
            raise ValueError(f"A message of {delivery.queue} is a dead letter already: acknowledge it.")
        token = _token(delivery)
        if not self._is_ours(token):
            return
        copy = Message(delivery.queue + DEAD_SUFFIX, delivery.body, delivery.message_id)
        self._undertaker.publish([copy], headers={REASON_HEADER: reason[:_LONGEST_REASON]})
        self._settle([token])

    def take_no_more(self) -> None:
        """See :class:`pipeline.ports.Consumer`."""
        self._ending = True
        if self._subscription is not None and not self._subscription.is_lost:
            # What a lost connection delivered has gone back to its queue already.
            with suppress(TransportDownError):
                self._subscription.take_no_more()

    def close(self) -> None:
        """Return what is un-acked to its queue at once, which costs it an attempt."""
        self._undertaker.close()
        if self._opening is not None:
            self._opening.abandon()
            self._opening = None
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _alive(self, until: float) -> Subscription | None:
        """A subscription that works, or None if none is wanted any more."""
        if self._subscription is not None and not self._subscription.is_lost:
            return self._subscription
        if self._ending:
            return None
        if self._opening is None:
            self._opening = Opening(partial(self._open, self._subscription))
            self._subscription = None
        try:
            self._subscription = self._opening.wait(until)
        finally:
            if self._opening.is_over:
                self._opening = None
        return self._subscription

    def _open(self, lost: Subscription | None, *, heard: Callable[[], None]) -> Subscription:
        if lost is not None:
            lost.close()  # takes its time if nobody answers the farewell
        return Subscription(self._connect, self._queues, prefetch=self._prefetch, heard=heard)

    def _is_ours(self, token: Token) -> bool:
        # What a lost connection delivered has gone back to its queue: there is nothing to acknowledge.
        ours = self._subscription
        return ours is not None and token.subscription is ours and not ours.is_lost

    def _settle(self, tokens: Sequence[Token]) -> None:
        assert self._subscription is not None
        self._subscription.acknowledge(tokens)


def _token(delivery: Delivery) -> Token:
    assert isinstance(delivery.token, Token)
    return delivery.token
