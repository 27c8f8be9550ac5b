"""Messages per second of the PostgreSQL queue, durable as in production (``bench_queue.py``)."""

from __future__ import annotations

import argparse
import json
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


def throughput(transport: PostgresTransport, *, batch: int, count: int) -> dict[str, float]:
    """Publish ``count`` messages, then receive and acknowledge them, ``batch`` at a time, from one thread."""
    messages = [Message(BULK, BODY, "benchmark")] * batch
    with transport.publisher() as publisher, transport.consumer([BULK]) as consumer:
        publisher.publish(messages)
        consumer.ack(consumer.receive(limit=batch, wait_s=10))
        started = time.perf_counter()
        for _ in range(count // batch):
            publisher.publish(messages)
        published = time.perf_counter()
        left = count // batch * batch
        while left:
            deliveries = consumer.receive(limit=batch, wait_s=10)
            consumer.ack(deliveries)
            left -= len(deliveries)
        done = time.perf_counter()
    return {
        "publish_per_s": round(count / (published - started)),
        "receive_and_ack_per_s": round(count / (done - published)),
    }


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


def measure(transport: PostgresTransport) -> Iterator[tuple[str, object]]:
    """Name and value of every measurement."""
    yield "wake_up_ms", wake_up_ms(transport)
    for batch, count in ((1, 2_000), (32, 32_000), (500, 50_000)):
        yield f"batch_{batch}", throughput(transport, batch=batch, count=count)
    with transport.publisher() as publisher:
        for _ in range(200):
            publisher.publish([Message(BULK, BODY, "backlog")] * 1000)
    yield "batch_32_behind_200000_others", throughput(transport, batch=32, count=32_000)


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="address of an empty database (default: an embedded server)")
    address: str | None = parser.parse_args().database
    if address:
        transport = PostgresTransport(address)
        transport.declare()
        print(json.dumps(dict(measure(transport)), indent=2))
        return
    with tempfile.TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as server:
        transport = PostgresTransport(server.url)
        transport.declare()
        print(json.dumps(dict(measure(transport)), indent=2))


if __name__ == "__main__":
    main()
