"""The relay beside bare pika, in turns on one RabbitMQ node: confirmed messages per second.

The relay reads and locks queued jobs, makes their messages, publishes them to quorum queues, waits until
all are confirmed, marks the jobs and commits, 500 at a time. Bare pika publishes the same bodies to the
same queue on one connection, persistent and mandatory, with up to 1,000 unconfirmed at any time.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pika
import structlog
from pika.spec import Basic

from benchmarks.catalogue import catalogue, import_pictures
from pipeline.ports import Message, Transport
from pipeline.topology import BULK
from pipeline.transports import transport_from_url
from tests.plugins.rabbitmq import RabbitNode

ROUNDS = 5
JOBS_PER_ROUND = 5_000
UNCONFIRMED = 1_000


class BarePika:
    """One connection of pika's own event loop, used by one round after the other."""

    def __init__(self, url: str) -> None:
        parameters = pika.URLParameters(url)
        parameters.heartbeat = 0  # nobody serves the loop between the rounds
        self._properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
        self._bodies: Iterator[bytes] = iter(())
        self._last_tag = 0
        self._open: deque[int] = deque()
        self._settled: set[int] = set()
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._on_channel),
        )
        self._connection.ioloop.start()

    def publish(self, bodies: list[bytes]) -> float:
        """Seconds until all are confirmed."""
        self._bodies = iter(bodies)
        began = time.perf_counter()
        self._connection.ioloop.add_callback_threadsafe(self._go_on)
        self._connection.ioloop.start()
        return time.perf_counter() - began

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._connection.ioloop.stop())

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        assert isinstance(method, Basic.Ack), "the queue is full"
        if not method.multiple:
            self._settled.add(method.delivery_tag)
        while self._open and (
            (method.multiple and self._open[0] <= method.delivery_tag) or self._open[0] in self._settled
        ):
            self._settled.discard(self._open.popleft())
        self._go_on()

    def _go_on(self) -> None:
        while len(self._open) < UNCONFIRMED and (body := next(self._bodies, None)) is not None:
            self._last_tag += 1
            self._open.append(self._last_tag)
            self._channel.basic_publish("", BULK, body, self._properties, mandatory=True)
        if not self._open:
            self._connection.ioloop.stop()


def relay(transport: Transport) -> float:
    """Seconds until every queued job is published and marked."""
    from dam.jobs.services import jobs_publish  # noqa: PLC0415

    with transport.publisher() as publisher:
        publisher.publish([Message(BULK, b"{}", "connects")])
        drain(transport, 1)
        began = time.perf_counter()
        while jobs_publish(publisher=publisher):
            pass
        return time.perf_counter() - began


def drain(transport: Transport, count: int) -> list[bytes]:
    """Take so many messages off the queue; their bodies."""
    bodies: list[bytes] = []
    with transport.consumer([BULK], prefetch=1_000) as consumer:
        while len(bodies) < count:
            batch = consumer.receive(limit=500, wait_s=10)
            assert batch, f"{count - len(bodies)} messages are missing"
            bodies += [delivery.body for delivery in batch]
            consumer.ack(batch)
    return bodies


def main() -> None:
    """Print what the relay and bare pika reach."""
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder,
        catalogue(),
        RabbitNode(Path(folder)) as node,
        transport_from_url(node.url) as transport,
    ):
        transport.declare()
        measure(transport, BarePika(node.url))


def measure(transport: Transport, bare: BarePika) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    ours, theirs = [], []
    for number in range(ROUNDS + 1):
        import_pictures(JOBS_PER_ROUND, published=False)
        spent = relay(transport)
        bodies = drain(transport, JOBS_PER_ROUND)
        spent_bare = bare.publish(bodies)
        drain(transport, JOBS_PER_ROUND)
        if number:  # the first round warms both
            ours.append(JOBS_PER_ROUND / spent)
            theirs.append(JOBS_PER_ROUND / spent_bare)
    ratio = median(mine / bare_rate for mine, bare_rate in zip(ours, theirs, strict=True))
    print(
        f"requests of {len(bodies[0])} bytes to a quorum queue of one node, {ROUNDS} rounds in turn of "
        f"{JOBS_PER_ROUND:,}:\n"
        f"  relay {median(ours):,.0f} confirmed messages/s, bare pika {median(theirs):,.0f}/s, "
        f"ratio {ratio:.2f} (target: at least 0.30)"
    )
