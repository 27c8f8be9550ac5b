"""A whole system in the shape of production: separate processes, each started by its own command.

PostgreSQL, RabbitMQ, an S3 server, the model server, relay, workers, results writer and pages. Each can be
stopped, paused or killed alone; whatever dies is started again, as an orchestrator would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Self

import psycopg
import requests

from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.scraping import MODEL_SERVER_METRICS
from dam.embedded.state import ROOT
from pipeline.ports import QueueDepth
from pipeline.transports import transport_from_url
from tests.plugins.kept import Keeper, KeptProcess
from tests.plugins.object_store import ObjectStore
from tests.plugins.ports import free_ports
from tests.plugins.processes import is_ready, wait_for
from tests.plugins.rabbitmq import RabbitNode
from tests.plugins.tcp_proxy import TcpProxy

DATABASE_PASSWORD = "database-passw0rd"
_READY_WITHIN_S = 240
_COMMAND_WITHIN_S = 600


class Plant:
    """One system on a folder of its own.

    Args:
        home: an empty folder, for the state of everything.
        models: folder with the served model's versions below ``tagger``.
        workers: how many tagging workers, each behind a proxy of its own to the broker.
        web: whether the pages and the REST interface run, too.
        monitor: whether ``vitrine monitor`` runs, too.
        heartbeat_s: half of the silence after which a worker's connection to the broker counts as lost;
            None: what workers ask for by default.
        variables: further environment of every process.
    """

    def __init__(
        self,
        home: Path,
        *,
        models: Path,
        workers: int = 2,
        web: bool = False,
        monitor: bool = False,
        heartbeat_s: int | None = None,
        **variables: str,
    ) -> None:
        self.home = home.resolve()
        self._models = models / "tagger"
        self._wanted_workers = workers
        self._wants_web = web
        self._wants_monitor = monitor
        self._query = "" if heartbeat_s is None else f"?heartbeat={heartbeat_s}"
        self._variables = variables
        self._tokens: dict[str, str] = {}
        self._stack = contextlib.ExitStack()
        names = ["web", "relay", "writer", "monitor", "model-server"]
        names += [f"worker {number}" for number in range(workers)]
        self._grpc_port, self._rest_port, self._web_port, *ports = free_ports(3 + len(names))
        self.health_ports = dict(zip(names, ports, strict=True))
        """Process → the port of its health and its metrics."""
        self._ready = self.home / "model_server.json"
        self._serve = [
            *(sys.executable, "-m", "model_training", "serve", "--base-path", str(self._models)),
            *(
                "--model-name",
                "tagger",
                "--grpc-port",
                str(self._grpc_port),
                "--rest-port",
                str(self._rest_port),
            ),
            *("--ready-file", str(self._ready)),
        ]
        self.workers: list[KeptProcess] = []
        self.proxies: list[TcpProxy] = []

    # ------------------------------------------------------------ start and end

    def __enter__(self) -> Self:
        with self._stack:
            self._start()
            # Nothing failed: what was entered stays until our own end.
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        enter = self._stack.enter_context
        # A child of the database's kind ends with the thread that started it: these stay until the end.
        starters = enter(ThreadPoolExecutor(3))
        self.postgres = EmbeddedPostgres(self.home)
        self.node = RabbitNode(self.home / "rabbitmq")
        self.objects = ObjectStore(self.home / "objects")
        for service in (self.postgres.stop, self.node.close, self.objects.close):
            self._stack.callback(service)
        started = [
            starters.submit(each) for each in (self.postgres.start, self.node.start, self.objects.start)
        ]
        keeper = enter(Keeper(self.home / "logs", self._own_environment()))
        self.keeper = keeper
        self.model_server = keeper.add("model server", self._serve, **self._health("model-server"))
        self.model_server.start()
        wait(started)
        for start in started:
            start.result()
        self.environment = self._own_environment() | self._addresses() | self._variables
        keeper.environment = self.environment
        self._add_processes(keeper)
        for worker in self.workers:
            worker.start()
        self.vitrine("migrate")
        commands = [("register_model", str(version)) for version in sorted(self._models.glob("[0-9]*"))]
        commands.append(("sign_in_link", "--first-admin"))
        list(starters.map(lambda words: self.vitrine(*words), commands))
        for process in (self.writer, self.relay):
            process.start()
        if self._wants_web:
            self.web.start()
            wait_for(self._web_answers, _READY_WITHIN_S, "the pages")
        if self._wants_monitor:
            self.monitor.start()
        wait_for(self._ready.exists, _READY_WITHIN_S, f"the model server: {self.model_server.tail()}")
        for worker in self.workers:
            wait_for(
                lambda worker=worker: "worker ready" in worker.said(),  # type: ignore[misc]
                _READY_WITHIN_S,
                f"{worker.name}: {worker.tail()}",
            )

    def _add_processes(self, keeper: Keeper) -> None:
        cli = [sys.executable, "-m", "dam.cli"]
        self.relay = keeper.add("relay", [*cli, "relay"], **self._health("relay"))
        self.writer = keeper.add("results writer", [*cli, "write_results"], **self._health("writer"))
        self.monitor = keeper.add("monitor", [*cli, "monitor"], **self._health("monitor"))
        for number in range(self._wanted_workers):
            proxy = self._stack.enter_context(TcpProxy(self.node.port))
            self.proxies.append(proxy)
            name = f"worker {number}"
            told = {"VITRINE_QUEUE_URL": self.node.url_of("/", port=proxy.port) + self._query}
            command = [sys.executable, "-m", "workers"]
            self.workers.append(keeper.add(name, command, **told, **self._health(name)))
        self.address = f"http://127.0.0.1:{self._web_port}"
        bind = f"127.0.0.1:{self._web_port}"
        gunicorn = [sys.executable, "-m", "gunicorn", "--config", "python:dam.gunicorn_conf", "--bind", bind]
        gunicorn += ["--workers", "1", "dam.wsgi:application"]
        self.web = keeper.add("web", gunicorn, death_signal=signal.SIGQUIT, **self._health("web"))

    def _health(self, name: str) -> dict[str, str]:
        return {"VITRINE_HEALTH_PORT": str(self.health_ports[name])}

    def _own_environment(self) -> dict[str, str]:
        foreign = ("VITRINE_", "DJANGO_", "PYTEST_", "RABBITMQ_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {"VITRINE_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def _addresses(self) -> dict[str, str]:
        return {
            # The server asks for no password; one is given so that tests see that nobody writes it down.
            "DATABASE_URL": self.postgres.url.replace("@", f":{DATABASE_PASSWORD}@", 1),
            "VITRINE_QUEUE_URL": self.node.url,
            "VITRINE_BLOB_URL": f"s3://{self.objects.make_bucket()}/pictures",
            "VITRINE_MODEL_SERVERS": f"127.0.0.1:{self._grpc_port}",
            **self.objects.environment(),
        }

    def _web_answers(self) -> bool:
        return is_ready(f"{self.address}/readyz")

    # --------------------------------------------------------- faults to services

    def start_model_server(self) -> None:
        """Start it again; returns when it answers."""
        self._ready.unlink(missing_ok=True)
        self.model_server.start()
        wait_for(self._ready.exists, _READY_WITHIN_S, f"the model server: {self.model_server.tail()}")

    # ------------------------------------------------------------------ looking

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus finds of this system, as its ``file_sd_configs`` read it."""
        wanted = {"web": self._wants_web, "monitor": self._wants_monitor, "model-server": False}
        found: list[dict[str, Any]] = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name.partition(" ")[0]}}
            for name, port in self.health_ports.items()
            if wanted.get(name, True)
        ]
        served = {"service": "model-server", "__metrics_path__": MODEL_SERVER_METRICS}
        return [*found, {"targets": [f"127.0.0.1:{self._rest_port}"], "labels": served}]

    def vitrine(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A ``vitrine`` command."""
        done = subprocess.run(
            [sys.executable, "-m", "dam.cli", *words],
            cwd=ROOT,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_COMMAND_WITHIN_S,
        )
        assert not check or done.returncode == 0, f"vitrine {' '.join(words)}: {done.stdout}{done.stderr}"
        return done

    def vitrine_started(self, *words: str) -> subprocess.Popen[str]:
        """The same, not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", "dam.cli", *words],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ledger(self) -> dict[str, Any]:
        """``vitrine ledger --json``."""
        found: dict[str, Any] = json.loads(self.vitrine("ledger", "--json").stdout)
        return found

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the catalogue's database answers.

        Raises:
            psycopg.OperationalError: it is away.
        """
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def depths(self) -> dict[str, QueueDepth]:
        """Every queue of the broker."""
        with transport_from_url(self.node.url) as transport:
            return transport.depths()

    def queues_with_messages(self) -> dict[str, int]:
        """Queues that are not empty, with what consumers hold counted in."""
        return {name: count for name, count in self.node.messages().items() if count}

    def stored_keys(self) -> set[str]:
        """Keys of everything in the blob store, as the catalogue names them."""
        bucket, _, prefix = self.environment["VITRINE_BLOB_URL"].removeprefix("s3://").partition("/")
        pages = self.objects.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key.removeprefix(f"{prefix}/") for key in keys}

    def api(self, user: str = "admin") -> requests.Session:
        """A session of the REST interface with a token of that user."""
        if user not in self._tokens:
            self._tokens[user] = self.vitrine("create_token", user, "--create").stdout.split()[-1]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._tokens[user]}"
        return session

    def last_words(self) -> str:
        """The end of every process's log, for who has to find out."""
        return "\n".join(f"--- {kept.name} ---\n{kept.tail(12)}" for kept in self.keeper.kept)
