"""One queue of a consumer, on a channel of its own: what came from it, and what is acknowledged.

A quorum queue takes some 32 commands of a channel at a time. Those behind wait in the channel and are
forgotten when it closes (RabbitMQ 3.10): what they acknowledge would come again, an attempt poorer. An
acknowledgement is such a command, unless it stands in a transaction: what is acknowledged in one is a single
command, whatever lies between. So acknowledgements are given by transactions, one at a time; what is
acknowledged while the broker answers one goes with the next.

The broker answers as soon as the channel has the transaction, which says nothing of the queue: while its
disk is slow, 32 transactions are made in milliseconds. So they are paced: a few at once, then some in each
second, so that only a queue that stands still for a second could have so many before it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from pika.channel import Channel
from pika.spec import BasicProperties

from pipeline.ports import Delivery

REASON_HEADER = "x-vitrine-reason"
_WORDS = {
    "delivery_limit": "delivery limit",
    "expired": "expired",
    "rejected": "rejected",
    "maxlen": "queue full",
}
_AT_ONCE = 12
_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Token:
    """Of a delivery: where it came from, and the broker's number for it there."""

    subscription: object
    channel: Channel
    tag: int


class Line:
    """See the module. ``fresh`` and ``returned`` are for the working thread, the rest for the I/O thread.

    Args:
        queue: its name.
        subscription: what the tokens of its deliveries name as their origin.
    """

    def __init__(self, queue: str, subscription: object) -> None:
        self.queue = queue
        self.channel: Channel
        self.consumer_tag = ""
        self.fresh: deque[Delivery] = deque()
        self.returned: deque[Delivery] = deque()
        self.probe: Future[Delivery | None] | None = None
        self._subscription = subscription
        # Tags of what the broker takes for un-acked, in the order of their delivery; and of these what
        # waits for the next transaction.
        self._open: dict[int, None] = {}
        self._done: set[int] = set()
        self._committing = False
        self._paces = False
        self._paced_until = 0.0
        self._settled: Callable[[], None] | None = None

    @property
    def held(self) -> int:
        """How many messages the broker takes for un-acked."""
        return len(self._open)

    def put(self, delivery: Delivery) -> None:
        """Keep what arrived until it is taken."""
        (self.fresh if delivery.delivery_count == 1 else self.returned).append(delivery)

    def take_returned(self) -> Delivery:
        """The returned message of the fewest attempts: the others are more likely to kill us."""
        chosen = min(self.returned, key=lambda delivery: delivery.delivery_count)
        self.returned.remove(chosen)
        return chosen

    def delivery(self, method: Any, properties: BasicProperties, body: bytes) -> Delivery:
        """What arrived, which is un-acked from now on."""
        self._open[method.delivery_tag] = None
        headers: dict[str, Any] = dict(properties.headers or {})
        returns = int(headers.get("x-delivery-count", 0))
        return Delivery(
            queue=self.queue,
            body=body,
            message_id=properties.message_id or "",
            # A broker that counts nothing still says that it is not the first time.
            delivery_count=1 + max(returns, int(bool(method.redelivered))),
            token=Token(self._subscription, self.channel, method.delivery_tag),
            dead_reason=_dead_reason(headers),
        )

    def acknowledge(self, tags: AbstractSet[int]) -> None:
        """Acknowledge what is open of these; the channel must have been asked for transactions."""
        # The broker closes a channel on which something is acknowledged twice.
        self._done |= tags & self._open.keys()
        self._commit()

    def when_settled(self, settled: Callable[[], None]) -> None:
        """Call ``settled`` once the broker has taken every acknowledgement."""
        self._settled = settled
        self._commit()

    def _commit(self) -> None:
        if self._committing or self._paces:
            return
        if self._done:
            if (early := self._early_s()) > 0:
                self._paces = True
                connection: Any = self.channel.connection  # types-pika knows no loop
                connection.ioloop.call_later(early, self._on_pace)
                return
            if oldest := list(takewhile(self._done.__contains__, self._open)):
                self.channel.basic_ack(oldest[-1], multiple=True)
            for tag in sorted(self._done.difference(oldest)):
                self.channel.basic_ack(tag)
            for tag in self._done:
                del self._open[tag]
            self._done.clear()
            self._committing = True
            self.channel.tx_commit(self._on_committed)
        elif self._settled is not None:
            self._settled()
            self._settled = None

    def _early_s(self) -> float:
        """How long the next transaction has to wait; it counts as made if that is not above 0.

        The generic cell rate algorithm (ITU-T I.371, annex A): as if each took ``_EVERY_S`` to be done.
        """
        now = time.monotonic()
        busy_until = max(self._paced_until, now)
        early = busy_until - now - (_AT_ONCE - 1) * _EVERY_S
        if early <= 0:
            self._paced_until = busy_until + _EVERY_S
        return early

    def _on_pace(self) -> None:
        self._paces = False
        self._commit()

    def _on_committed(self, _frame: object) -> None:
        self._committing = False
        self._commit()


def _dead_reason(headers: dict[str, Any]) -> str:
    if reason := headers.get(REASON_HEADER):
        return str(reason)
    deaths = headers.get("x-death") or []
    reason = str(deaths[0].get("reason", "")) if deaths else ""
    return _WORDS.get(reason, reason)
