"""Brokers for the transport suite: started, stopped and killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psycopg
import pytest

from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.state import socket_url
from pipeline.ports import Transport
from pipeline.postgres_queue import LEASE_S, PostgresTransport
from pipeline.rabbitmq import RabbitTransport
from pipeline.topology import QUEUES, QueueSpec
from tests.plugins.rabbitmq import RabbitNode

_CLIENT = Path(__file__).parent.parent / "pipeline" / "transport_client.py"


class Broker(Protocol):
    """A broker of the test's own, with nothing in it."""

    url: str

    def transport(self, *, lease_s: float = LEASE_S, queues: Sequence[QueueSpec] = QUEUES) -> Transport:
        """A transport; ``lease_s``: how long it bears the silence of a consumer, if that can be set."""
        ...

    def messages(self, queue: str) -> int:
        """How many messages a queue has, held ones included."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def crash(self) -> None:
        """End it as a power cut would, as far as a process can."""
        ...


class PostgresBroker:
    """A fresh database on a server that may be stopped."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        name = f"queue_{uuid4().hex}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self.server = server
        self.url = socket_url(server.sockets, database=name)

    def transport(
        self, *, lease_s: float = LEASE_S, queues: Sequence[QueueSpec] = QUEUES
    ) -> PostgresTransport:
        return PostgresTransport(self.url, queues, lease_s=lease_s)

    def messages(self, queue: str) -> int:
        depth = self.transport().depths()[queue]
        assert depth.held is not None
        return depth.ready + depth.held

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def crash(self) -> None:
        assert self.server.pid is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.stop()


@pytest.fixture(scope="session")
def stoppable_server() -> Iterator[EmbeddedPostgres]:
    """A server beside that of the session, whose other users would not like it to stop."""
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-queue-") as home,
        EmbeddedPostgres(Path(home), settings={"fsync": "off"}) as server,
    ):
        yield server


@pytest.fixture
def postgres_broker(stoppable_server: EmbeddedPostgres) -> PostgresBroker:
    stoppable_server.start()
    return PostgresBroker(stoppable_server)


class RabbitBroker:
    """A fresh virtual host on the session's node."""

    def __init__(self, node: RabbitNode) -> None:
        self.node = node
        self.url = node.make_vhost()

    def transport(self, *, lease_s: float = 0, queues: Sequence[QueueSpec] = QUEUES) -> RabbitTransport:
        """A living consumer of RabbitMQ is one whose heartbeats come: ``lease_s`` has no meaning."""
        return RabbitTransport(self.url, queues)

    def messages(self, queue: str) -> int:
        return self.node.messages(self.url.rpartition("/")[2])[queue]

    def start(self) -> None:
        self.node.start()

    def stop(self) -> None:
        self.node.stop()

    def crash(self) -> None:
        self.node.crash()


@pytest.fixture
def rabbit_broker(rabbit_node: RabbitNode) -> Iterator[RabbitBroker]:
    rabbit_node.start()
    broker = RabbitBroker(rabbit_node)
    starts = rabbit_node.starts
    yield broker
    rabbit_node.start()
    # A queue that is deleted while a node that has just started takes up its dead-lettering may end that for
    # the whole node (3.10.8): from then on every declaration fails with INTERNAL_ERROR.
    if rabbit_node.starts == starts:
        rabbit_node.drop_vhost(broker.url)


@pytest.fixture(params=["postgres_broker", "rabbit_broker"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Every broker that there is a transport for."""
    found: Broker = request.getfixturevalue(request.param)
    return found


class HoldingProcess:
    """A consumer in a process of its own that holds what it received."""

    def __init__(self, url: str, *, queue: str, limit: int, lease_s: float | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(_CLIENT), url, queue, str(limit), str(lease_s or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        assert self.process.stdout is not None
        self.received = [tuple(one) for one in json.loads(self.process.stdout.readline())]

    def acknowledge(self) -> None:
        """Let it acknowledge everything; returns when it has."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "acknowledged\n"

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill -9."""
        with self.process as process:
            process.kill()


Holder = Callable[..., HoldingProcess]


@pytest.fixture
def holder(broker: Broker) -> Iterator[Holder]:
    """Starts a process that receives from ``queue`` up to ``limit`` messages and holds them."""
    started: list[HoldingProcess] = []

    def start(*, queue: str, limit: int, lease_s: float | None = None) -> HoldingProcess:
        started.append(HoldingProcess(broker.url, queue=queue, limit=limit, lease_s=lease_s))
        return started[-1]

    yield start
    for process in started:
        process.kill()
