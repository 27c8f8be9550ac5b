"""What one connection of a consumer was given, and what it asks for.

A connection goes through three phases, so that a message that kills the process takes no neighbour with
it: whatever a dying process holds, in its hands or in advance, costs an attempt.

1. *probing*: one message at a time is fetched (``basic.get``) while nothing else is held. What was returned
   by a process that died stands at the head of its queue, so it is met here, alone.
2. *streaming*: no queue begins with such a message. The broker sends in advance.
3. *draining*: another process died, and what it held came among ours. Nothing more is asked for; the fresh
   messages are worked off first; then probing again, which begins with the returned ones that are here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import takewhile
from typing import Any
from uuid import uuid4

import structlog
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from pipeline.ports import Delivery, TransportDownError
from pipeline.rabbitmq.link import Link, give

_log: Any = structlog.get_logger()

REASON_HEADER = "x-vitrine-reason"
# From an acknowledgement to what the broker sends in its place; a busy one needs a part of that.
_QUIET_S = 1.0
_WORDS = {
    "delivery_limit": "delivery limit",
    "expired": "expired",
    "rejected": "rejected",
    "maxlen": "queue full",
}


class Phase(Enum):
    """See the module."""

    PROBING = auto()
    STREAMING = auto()
    DRAINING = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """Of a delivery: where it came from, and the broker's number for it there."""

    subscription: Subscription
    channel: Channel
    tag: int


class _Line:
    """One queue on a channel of its own, and what came from it."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.channel: Channel
        self.consumer_tag = ""
        self.fresh: deque[Delivery] = deque()
        self.returned: deque[Delivery] = deque()
        self.probe: Future[Delivery | None] | None = None
        # Tags of what is un-acked, in the order of their delivery; for the I/O thread.
        self.open: dict[int, None] = {}

    def take_returned(self) -> Delivery:
        """The returned message of the fewest attempts: the others are more likely to kill us."""
        chosen = min(self.returned, key=lambda delivery: delivery.delivery_count)
        self.returned.remove(chosen)
        return chosen

    def acknowledge(self, tags: AbstractSet[int]) -> None:
        """Acknowledge what is open of these, in as few commands as can be.

        A quorum queue takes some 32 commands of a channel at a time. Those behind wait in the channel and
        are forgotten when it closes: their messages would come again, an attempt poorer.
        """
        oldest = list(takewhile(tags.__contains__, self.open))
        if oldest:
            self.channel.basic_ack(oldest[-1], multiple=True)
        for tag in oldest:
            del self.open[tag]
        # The broker closes a channel on which something is acknowledged twice.
        for tag in sorted(tags & self.open.keys()):
            self.channel.basic_ack(tag)
            del self.open[tag]


class Subscription:
    """The consumers on one link. For one working thread; deliveries arrive in the link's thread."""

    def __init__(self, connect: Callable[..., Link], queues: Sequence[str], *, prefetch: int) -> None:
        self._prefetch = prefetch
        self._arrived = threading.Condition()
        self._lines = [_Line(queue) for queue in queues]
        self._probing = 0
        self._phase = Phase.PROBING
        self._ending = False
        self._lost = False
        self._closing = False
        self._link = connect("consumer", on_lost=self._on_lost)
        try:
            for line in self._lines:
                line.channel = self._link.open_channel(self._link.drop)
                self._link.run(partial(self._listen, line))
        except TransportDownError:
            self._link.close()
            raise

    @property
    def is_lost(self) -> bool:
        """Whether what it gave out can no longer be acknowledged."""
        return self._lost

    def take(self, limit: int, *, until: float, linger_s: float) -> list[Delivery]:
        """The next batch; empty when the time (``time.monotonic()``) is over or the connection is lost.

        Raises:
            TransportDownError: the connection was lost meanwhile.
        """
        while not self._lost:
            if self._phase is Phase.PROBING and not self._ending:
                if (probe := self._next_probe()) is not None:
                    return [probe]
                continue
            batch = self._take_buffered(limit, until, linger_s)
            if batch or self._phase is not Phase.PROBING or self._ending:
                return batch
        return []

    def acknowledge(self, tokens: Sequence[Token]) -> None:
        """Acknowledge what was delivered by this very connection, once.

        Raises:
            TransportDownError: the connection is lost; the messages come again.
        """

        def acknowledge() -> None:
            for line in self._lines:
                line.acknowledge({token.tag for token in tokens if token.channel is line.channel})

        self._link.run(acknowledge)

    def take_no_more(self) -> None:
        """Ask for nothing further and wait until nothing more is on its way.

        Raises:
            TransportDownError: the connection is lost.
        """
        self._ending = True
        self._stop_streaming()

    def close(self) -> None:
        """Return what is un-acked."""
        self._closing = True
        self._link.close()

    # ---------------------------------------------------------------- probing

    def _next_probe(self) -> Delivery | None:
        """A message to be worked on alone, or None when it is time to look at the next queue or to stream."""
        line = self._lines[self._probing]
        if line.fresh:
            return line.fresh.popleft()  # met before a returned message of a later queue, and still here
        if not line.returned and (found := self._link.ask(partial(self._fetch, line))) is not None:
            (line.fresh if found.delivery_count == 1 else line.returned).append(found)
        if line.returned:
            self._probing = 0  # from the first queue again: somebody may wait there meanwhile
            return line.take_returned()
        self._probing += 1
        if self._probing == len(self._lines):
            self._probing, self._phase = 0, Phase.STREAMING
            self._link.run(self._stream)
        return None

    def _fetch(self, line: _Line, answer: Future[Delivery | None]) -> None:
        line.probe = answer

        def on_message(_channel: Channel, method: Any, properties: BasicProperties, body: bytes) -> None:
            give(answer, self._delivery(line, method, properties, body))

        line.channel.basic_get(line.queue, on_message)

    def _listen(self, line: _Line) -> None:
        def nothing(_frame: object) -> None:
            if line.probe is not None:
                give(line.probe, None)

        line.channel.add_callback(nothing, [Basic.GetEmpty], one_shot=False)
        # The queue was deleted, or has no leader any more.
        line.channel.add_on_cancel_callback(lambda _frame: self._link.drop("the broker ended the consumer"))
        line.channel.basic_qos(prefetch_count=self._prefetch)

    # -------------------------------------------------------------- streaming

    def _stream(self) -> None:
        for line in self._lines:
            line.consumer_tag = uuid4().hex
            line.channel.basic_consume(
                line.queue,
                partial(self._on_message, line),
                consumer_tag=line.consumer_tag,
            )

    def _stop_streaming(self) -> None:
        self._await_arrivals()
        for line in self._lines:
            if line.consumer_tag:
                self._link.ask(partial(self._cancel, line))
                line.consumer_tag = ""

    def _await_arrivals(self) -> None:
        """Wait until nothing is on its way: every line is full, or nothing has come for a while.

        What a quorum queue gives out while it is asked to stop, the broker takes back, which costs an
        attempt. Nothing is acknowledged meanwhile, so no line is given more than its prefetch.
        """
        with self._arrived:
            while not self._lost and not all(self._is_full(line) for line in self._lines):
                if not self._arrived.wait(_QUIET_S):
                    return

    def _is_full(self, line: _Line) -> bool:
        return len(line.open) >= self._prefetch

    def _cancel(self, line: _Line, answer: Future[None]) -> None:
        def flush(_frame: object) -> None:
            # What a quorum queue gave out just before comes *behind* the broker's answer. The channel works
            # in order, so when it has answered once more, everything is here.
            line.channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _frame: give(answer, None))

        # Not pika's basic_cancel: it rejects what is still on its way, which costs each message an attempt,
        # and forgets the consumer, so that what comes behind the answer would be held by nobody, unseen.
        rpc = getattr(line.channel, "_rpc")  # noqa: B009  # there is no public way
        rpc(Basic.Cancel(consumer_tag=line.consumer_tag), flush, [Basic.CancelOk])

    def _on_message(
        self, line: _Line, _channel: Channel, method: Any, properties: BasicProperties, body: bytes
    ) -> None:
        delivery = self._delivery(line, method, properties, body)
        with self._arrived:
            (line.fresh if delivery.delivery_count == 1 else line.returned).append(delivery)
            self._arrived.notify_all()

    def _on_lost(self, reason: str) -> None:
        if not self._closing:
            # Each loss costs an attempt of all that was held: somebody may want to know how often.
            _log.warning("connection to the broker lost", reason=reason)
        with self._arrived:
            self._lost = True
            self._arrived.notify_all()

    # ----------------------------------------------------------------- buffers

    def _take_buffered(self, limit: int, until: float, linger_s: float) -> list[Delivery]:
        with self._arrived:
            while not self._lost:
                if self._phase is Phase.STREAMING and any(line.returned for line in self._lines):
                    break
                line = next((line for line in self._lines if line.fresh), None)
                if line is not None:
                    return self._fill(line, limit, linger_s)
                if self._ending:
                    left = next((line for line in self._lines if line.returned), None)
                    return [] if left is None else [left.take_returned()]
                if self._phase is Phase.DRAINING:
                    self._phase = Phase.PROBING
                    return []
                if not self._arrived.wait(timeout=max(0.0, until - time.monotonic())):
                    return []
            if self._lost:
                return []
        # Not under the condition, which the I/O thread needs to deliver what is still on its way.
        self._stop_streaming()
        self._phase = Phase.DRAINING
        return self._take_buffered(limit, until, linger_s)

    def _fill(self, line: _Line, limit: int, linger_s: float) -> list[Delivery]:
        """A batch of one queue's fresh messages, waiting for more of them while none has to be drained."""
        until = time.monotonic() + linger_s
        while (
            len(line.fresh) < limit and self._phase is Phase.STREAMING and not self._ending and not self._lost
        ):
            if not self._arrived.wait(timeout=max(0.0, until - time.monotonic())):
                break
        if self._lost:
            return []
        return [line.fresh.popleft() for _ in range(min(limit, len(line.fresh)))]

    def _delivery(self, line: _Line, method: Any, properties: BasicProperties, body: bytes) -> Delivery:
        line.open[method.delivery_tag] = None
        headers: dict[str, Any] = dict(properties.headers or {})
        returns = int(headers.get("x-delivery-count", 0))
        return Delivery(
            queue=line.queue,
            body=body,
            message_id=properties.message_id or "",
            # A broker that counts nothing still says that it is not the first time.
            delivery_count=1 + max(returns, int(bool(method.redelivered))),
            token=Token(self, line.channel, method.delivery_tag),
            dead_reason=_dead_reason(headers),
        )


def _dead_reason(headers: dict[str, Any]) -> str:
    if reason := headers.get(REASON_HEADER):
        return str(reason)
    deaths = headers.get("x-death") or []
    reason = str(deaths[0].get("reason", "")) if deaths else ""
    return _WORDS.get(reason, reason)
