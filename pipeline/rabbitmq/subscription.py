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
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from pika.channel import Channel
from pika.spec import Basic, BasicProperties

from pipeline.ports import Delivery, TransportDownError
from pipeline.rabbitmq.line import Line, Token
from pipeline.rabbitmq.link import Link, give

_log: Any = structlog.get_logger()

# From an acknowledgement to what the broker sends in its place; a busy one needs a part of that.
_QUIET_S = 1.0
# Where work never ceases to come, it is never quiet: then what is just on its way pays with an attempt.
_ARRIVALS_WITHIN_S = 10.0
# What is asked of the broker may take so long beyond the time of the caller, who then asks again.
ANSWER_GRACE_S = 1.5
_FAREWELL_S = 5.0


class Phase(Enum):
    """See the module."""

    PROBING = auto()
    STREAMING = auto()
    DRAINING = auto()


class Subscription:
    """The consumers on one link. For one working thread; deliveries arrive in the link's thread."""

    def __init__(
        self,
        connect: Callable[..., Link],
        queues: Sequence[str],
        *,
        prefetch: int,
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        self._prefetch = prefetch
        self._arrived = threading.Condition()
        self._lines = [Line(queue, self) for queue in queues]
        self._probing = 0
        self._probe: Future[Delivery | None] | None = None
        self._cancelled: Future[None] | None = None
        self._phase = Phase.PROBING
        self._ending = False
        self._lost = False
        self._closing = False
        self._link = connect("consumer", on_lost=self._on_lost, heard=heard)
        try:
            for line in self._lines:
                heard()
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
            TransportDownError: the connection was lost meanwhile, or the broker has not answered yet.
        """
        while not self._lost:
            if self._phase is Phase.PROBING and not self._ending:
                if (probe := self._next_probe(until)) is not None:
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
            TransportDownError: the connection is lost, or the broker has not answered: what is here can be
                worked off nevertheless.
        """
        self._ending = True
        until = time.monotonic() + _FAREWELL_S
        if self._probe is not None:
            self._await_probe(until)
        self._stop_streaming(until)

    def close(self) -> None:
        """Return what is un-acked."""
        self._closing = True
        with suppress(TransportDownError):
            self._link.wait(self._link.start(self._settle), until=time.monotonic() + _FAREWELL_S)
        self._link.close()

    # ---------------------------------------------------------------- probing

    def _next_probe(self, until: float) -> Delivery | None:
        """A message to be worked on alone, or None when it is time to look at the next queue or to stream."""
        line = self._lines[self._probing]
        if line.fresh:
            return line.fresh.popleft()  # met before a returned message of a later queue, and still here
        if not line.returned:
            if self._probe is None:
                self._probe = self._link.start(partial(self._fetch, line))
            self._await_probe(until)
        if line.returned:
            self._probing = 0  # from the first queue again: somebody may wait there meanwhile
            return line.take_returned()
        self._probing += 1
        if self._probing == len(self._lines):
            self._probing, self._phase = 0, Phase.STREAMING
            self._link.run(self._stream)
        return None

    def _await_probe(self, until: float) -> None:
        """Keep what the broker has for the probe that is under way, when it answers."""
        assert self._probe is not None
        found = self._link.wait(self._probe, until=_patience(until))
        self._probe = None
        if found is not None:
            self._lines[self._probing].put(found)

    def _fetch(self, line: Line, answer: Future[Delivery | None]) -> None:
        line.probe = answer

        def on_message(_channel: Channel, method: Any, properties: BasicProperties, body: bytes) -> None:
            give(answer, line.delivery(method, properties, body))

        line.channel.basic_get(line.queue, on_message)

    def _listen(self, line: Line) -> None:
        def nothing(_frame: object) -> None:
            if line.probe is not None:
                give(line.probe, None)

        line.channel.add_callback(nothing, [Basic.GetEmpty], one_shot=False)
        # The queue was deleted, or has no leader any more.
        line.channel.add_on_cancel_callback(lambda _frame: self._link.drop("the broker ended the consumer"))
        line.channel.basic_qos(prefetch_count=self._prefetch)
        line.channel.tx_select()

    # -------------------------------------------------------------- streaming

    def _stream(self) -> None:
        for line in self._lines:
            line.consumer_tag = uuid4().hex
            line.channel.basic_consume(
                line.queue,
                partial(self._on_message, line),
                consumer_tag=line.consumer_tag,
            )

    def _stop_streaming(self, until: float) -> None:
        """Go on stopping, if that was begun and took too long."""
        if self._cancelled is None:
            # What is still to be acknowledged makes room for more.
            self._link.wait(self._link.start(self._settle), until=_patience(until))
            self._await_arrivals()
            self._cancelled = self._link.start(self._cancel)
        self._link.wait(self._cancelled, until=_patience(until))
        self._cancelled = None

    def _await_arrivals(self) -> None:
        """Wait until nothing is on its way: every line is full, or nothing has come for a while.

        What a quorum queue gives out while it is asked to stop, the broker takes back, which costs an
        attempt. Nothing is acknowledged meanwhile, so no line is given more than its prefetch; but what comes
        steadily may take longer to fill one than anybody has who was told to stop.
        """
        until = time.monotonic() + _ARRIVALS_WITHIN_S
        with self._arrived:
            while not self._lost and not all(line.held >= self._prefetch for line in self._lines):
                left_s = until - time.monotonic()
                if left_s <= 0 or not self._arrived.wait(min(_QUIET_S, left_s)):
                    return

    def _cancel(self, answer: Future[None]) -> None:
        streaming = [line for line in self._lines if line.consumer_tag]
        flushed = _countdown(len(streaming), answer)

        def flush(line: Line, _frame: object) -> None:
            # What a quorum queue gave out just before comes *behind* the broker's answer. The channel works
            # in order, so when it has answered once more, everything is here.
            line.consumer_tag = ""
            line.channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _frame: flushed())

        for line in streaming:
            # Not pika's basic_cancel: it rejects what is still on its way, which costs each message an
            # attempt, and forgets the consumer, so that what comes behind the answer would be held by
            # nobody, unseen.
            rpc = getattr(line.channel, "_rpc")  # noqa: B009  # there is no public way
            rpc(Basic.Cancel(consumer_tag=line.consumer_tag), partial(flush, line), [Basic.CancelOk])

    def _settle(self, answer: Future[None]) -> None:
        settled = _countdown(len(self._lines), answer)
        for line in self._lines:
            line.when_settled(settled)

    def _on_message(
        self, line: Line, _channel: Channel, method: Any, properties: BasicProperties, body: bytes
    ) -> None:
        delivery = line.delivery(method, properties, body)
        with self._arrived:
            line.put(delivery)
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
        self._stop_streaming(until)
        self._phase = Phase.DRAINING
        return self._take_buffered(limit, until, linger_s)

    def _fill(self, line: Line, limit: int, linger_s: float) -> list[Delivery]:
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


def _patience(until: float) -> float:
    return max(until, time.monotonic()) + ANSWER_GRACE_S


def _countdown(count: int, answer: Future[None]) -> Callable[[], None]:
    """What gives the answer when it is called for the ``count``-th time; at once, if that is 0."""
    left = count

    def down() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            give(answer, None)

    if not count:
        give(answer, None)
    return down
