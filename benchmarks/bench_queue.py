"""The PostgreSQL queue alone: messages per second and wake-up time, durable as in production."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from dam.embedded.postgres import EmbeddedPostgres
from pipeline.ports import Message
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK

BODY = bytes(600)
"""About the size of a tagging request."""


def throughput(transport: PostgresTransport, *, batch: int, count: int, portion: int) -> str:
    """Publish ``count`` messages and receive them, from one thread; median of three.

    Args:
        transport: The queue.
        batch: Messages at a time.
        count: How many in all.
        portion: So many are published, then received, in turns: what the queue has room for.
    """
    rounds = (_round(transport, batch=batch, count=count, portion=portion) for _ in range(3))
    published, received = zip(*rounds, strict=True)
    return f"{median(published):,.0f} published/s, {median(received):,.0f} received and acknowledged/s"


def _round(transport: PostgresTransport, *, batch: int, count: int, portion: int) -> tuple[float, float]:
    messages = [Message(BULK, BODY, "benchmark")] * batch
    publishing = receiving = 0.0
    done = 0
    with transport.publisher() as publisher, transport.consumer([BULK]) as consumer:
        publisher.publish(messages)
        consumer.ack(consumer.receive(limit=batch, wait_s=10))
        while done < count:
            started = time.perf_counter()
            for _ in range(portion // batch):
                publisher.publish(messages)
            published = time.perf_counter()
            left = portion // batch * batch
            done += left
            while left > 0:
                deliveries = consumer.receive(limit=batch, wait_s=10)
                consumer.ack(deliveries)
                left -= len(deliveries)
            publishing += published - started
            receiving += time.perf_counter() - published
    return done / publishing, done / receiving


def wake_up_ms(transport: PostgresTransport, *, count: int = 100) -> float:
    """Median time from the begin of a publish to the arrival at a waiting consumer, in milliseconds."""
    sent = threading.Semaphore(0)
    late: list[float] = []

    def publish() -> None:
        with transport.publisher() as publisher:
            for _ in range(count):
                sent.acquire()
                time.sleep(0.01)
                publisher.publish([Message(BULK, repr(time.perf_counter()).encode())])

    thread = threading.Thread(target=publish)
    thread.start()
    with transport.consumer([BULK]) as consumer:
        for _ in range(count):
            sent.release()
            deliveries = consumer.receive(limit=1, wait_s=10)
            late.append(time.perf_counter() - float(deliveries[0].body))
            consumer.ack(deliveries)
    thread.join()
    return round(1000 * median(late), 2)


def measure(transport: PostgresTransport) -> Iterator[tuple[str, str]]:
    """Name and value of every measurement."""
    yield "publish to arrival at a waiting consumer", f"{wake_up_ms(transport)} ms"
    for batch, count in ((1, 2_000), (32, 32_000), (500, 50_000)):
        yield f"{batch} at a time", throughput(transport, batch=batch, count=count, portion=min(count, 8_000))
    with transport.publisher() as publisher:
        # Nearly all that a queue takes, which is 10,000.
        for _ in range(9):
            publisher.publish([Message(BULK, BODY, "backlog")] * 1000)
    yield "32 at a time, 9,000 others waiting", throughput(transport, batch=32, count=9_600, portion=960)


def main() -> None:
    """Print the measurements of an embedded server on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as server:
        transport = PostgresTransport(server.url)
        transport.declare()
        for name, value in measure(transport):
            print(f"{name}: {value}")
