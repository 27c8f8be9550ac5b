"""A consumer in a process of its own, to be killed: ``python transport_client.py URL QUEUE LIMIT LEASE_S``.

Prints one JSON list of what it received, then holds it until a line on standard input tells it to
acknowledge; says ``acknowledged`` and waits again.
"""

from __future__ import annotations

import json
import sys

from pipeline.postgres_queue import PostgresTransport
from pipeline.transports import transport_from_url


def main() -> None:
    url, queue, limit, lease_s = sys.argv[1:]
    transport = PostgresTransport(url, lease_s=float(lease_s)) if lease_s else transport_from_url(url)
    with transport.consumer([queue]) as consumer:
        batch = consumer.receive(limit=int(limit), wait_s=60, linger_s=10)
        print(json.dumps([(one.message_id, one.delivery_count) for one in batch]), flush=True)
        for _ in sys.stdin:
            consumer.ack(batch)
            print("acknowledged", flush=True)


if __name__ == "__main__":
    main()
