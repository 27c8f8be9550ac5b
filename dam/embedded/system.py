"""Which processes the embedded system consists of: the production commands, told about each other."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from dam.embedded.errors import EmbeddedError
from dam.embedded.logs import LogFile
from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.processes import Program
from dam.embedded.state import ROOT
from dam.embedded.supervisor import Child, log_of
from pipeline.secret_files import secret_source

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
MARK = "VITRINE_SUPERVISED"
"""In the environment of every child: the home it belongs to."""

STOP_ORDER = (
    ("controller", "monitor"),
    ("web", "relay"),
    ("worker",),
    ("results writer",),
    ("model server",),
    ("postgres",),
)
"""Who changes or watches what runs first, then new work, then along a picture's way, the database last."""

HEALTH_SERVICES = ("web", "relay", "writer", "worker", "model-server", "controller", "monitor")
"""Each has a port for its health and its metrics."""

# That of OpenTelemetry's exporter for Prometheus.
_FIRST_HEALTH_PORT = 9464
# TensorFlow Serving's own port numbers; other systems on this machine may have taken them.
_FIRST_MODEL_PORT = 8500


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one running system is."""

    home: Path
    database_url: str
    grpc_port: int
    rest_port: int
    web: socket.socket
    """Bound and listening already; the web processes inherit it."""
    health_ports: Mapping[str, int]
    """Service → where it tells how it is."""

    @property
    def address(self) -> str:
        """Where people find the site."""
        return f"http://{HOST}:{self.web.getsockname()[1]}"

    @property
    def model_server(self) -> str:
        """Where the worker finds the model server."""
        return f"{HOST}:{self.grpc_port}"

    @property
    def model_server_ready(self) -> Path:
        """Written by the model server when it can answer."""
        return self.home / "run" / "model_server.json"

    @property
    def models(self) -> Path:
        """Folder of the served model's versions."""
        return self.home / "models" / "tagger"

    @property
    def models_config(self) -> Path:
        """Says which of these versions are loaded, and what each is called."""
        return self.home / "models" / "models.config"

    @property
    def web_numbers(self) -> Path:
        """Folder in which the web processes count together."""
        return self.home / "run" / "web_numbers"

    @property
    def controller_token(self) -> Path:
        """By which the controller signs in to the catalogue; for this run only."""
        return self.home / "run" / "controller_token"


def environment(layout: Layout) -> dict[str, str]:
    """What every child is told: everything we know, and what only the supervisor can know.

    Raises:
        SecretFileError: an address is given twice.
    """
    # What the user sets stays as it is.
    return {
        "VITRINE_BLOB_URL": str(layout.home / "blobs"),
        "VITRINE_MODEL_NAME": "tagger",
        **os.environ,
        **_addresses(layout),
        "VITRINE_HOME": str(layout.home),
        "VITRINE_MODEL_SERVERS": layout.model_server,
        "PYTHONUNBUFFERED": "1",
        MARK: str(layout.home),
    }


def _addresses(layout: Layout) -> dict[str, str]:
    """Those of database and queue that nobody has set; one that lies in a file stands in no environment."""
    database, queue = secret_source("DATABASE_URL"), secret_source("VITRINE_QUEUE_URL")
    told = {} if database else {"DATABASE_URL": layout.database_url}
    if not queue and database == "DATABASE_URL_FILE":
        told["VITRINE_QUEUE_URL_FILE"] = os.environ[database]
    elif not queue:
        told["VITRINE_QUEUE_URL"] = layout.database_url
    return told


def command(layout: Layout, *words: str) -> Program:
    """``python -m WORDS`` in the environment of the system."""
    return Program([sys.executable, "-m", *words], environment(layout), cwd=ROOT)


def _told(program: Program, layout: Layout, service: str, **variables: str) -> Program:
    """The same program, with a port of its own for health and metrics."""
    port = str(layout.health_ports[service])
    told = {"VITRINE_HEALTH_PORT": port, "VITRINE_HEALTH_HOST": HOST, **variables}
    return replace(program, env={**program.env, **told})


def model_server(layout: Layout) -> Child:
    """The local model server."""
    words = ["model_training", "serve", "--models-config", str(layout.models_config)]
    words += ["--base-path", str(layout.models), "--model-name", "tagger"]
    words += ["--grpc-port", str(layout.grpc_port), "--rest-port", str(layout.rest_port)]
    words += ["--ready-file", str(layout.model_server_ready)]
    program = _told(command(layout, *words), layout, "model-server")
    return Child("model server", program, log=log_of(layout.home, "model_server"))


def web(layout: Layout) -> Child:
    """The catalogue's pages and REST interface."""
    number = layout.web.fileno()
    words = ["gunicorn", "--config", "python:dam.gunicorn_conf", "--bind", f"fd://{number}"]
    # Whoever pressed Ctrl-C waits for it.
    words += ["--graceful-timeout", "10", "dam.wsgi:application"]
    numbers = {"PROMETHEUS_MULTIPROC_DIR": str(layout.web_numbers)}
    program = replace(
        _told(command(layout, *words), layout, "web", **numbers),
        # gunicorn has children of its own to take along, which it could not if it were killed.
        death_signal=signal.SIGQUIT,
        pass_fds=[number],
    )
    return Child("web", program, log=log_of(layout.home, "web"))


def relay(layout: Layout) -> Child:
    """Takes queued jobs to the queue."""
    program = _told(command(layout, "dam.cli", "relay"), layout, "relay")
    return Child("relay", program, log=log_of(layout.home, "relay"))


def results_writer(layout: Layout) -> Child:
    """Takes answers into the catalogue."""
    program = _told(command(layout, "dam.cli", "write_results"), layout, "writer")
    return Child("results writer", program, log=log_of(layout.home, "results_writer"))


def worker(layout: Layout) -> Child:
    """The tagging worker; it is given the time to finish what was delivered to it."""
    program = _told(command(layout, "workers"), layout, "worker")
    return Child("worker", program, log=log_of(layout.home, "worker"), stop_within_s=30.0)


def monitor(layout: Layout) -> Child:
    """Tells the state of the whole, for Prometheus."""
    program = _told(command(layout, "dam.cli", "monitor"), layout, "monitor")
    return Child("monitor", program, log=log_of(layout.home, "monitor"))


def controller(layout: Layout) -> Child:
    """Brings into service what the model registry says, once there is one."""
    words = ["model_training", "controller", "--model", "tagger", "--base-path", str(layout.models)]
    words += ["--models-config", str(layout.models_config), "--model-servers", layout.model_server]
    words += ["--catalogue", layout.address, "--token-file", str(layout.controller_token)]
    program = _told(command(layout, *words), layout, "controller")
    return Child("controller", program, log=log_of(layout.home, "controller"))


def has_registry(home: Path, variables: Mapping[str, str]) -> bool:
    """Whether anybody has ever registered a model, so that versions come and go by its word."""
    return bool(variables.get("MLFLOW_TRACKING_URI")) or (home / "mlflow" / "mlflow.db").exists()


class Database:
    """The embedded PostgreSQL as a service among the others."""

    name = "postgres"
    stop_within_s = 30.0

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self.log = LogFile(server.log)

    @property
    def pid(self) -> int | None:
        """Its main process, while there is one."""
        return self.server.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.log.limit()
        self.server.start()

    def has_ended(self) -> bool:
        """Whether it was started and has ended."""
        return self.server.pid is not None and not self.server.is_running()

    def ask_to_stop(self) -> None:
        """Begin a fast shutdown."""
        self.server.ask_to_stop()

    def end(self) -> int:
        """Stop it, now at the latest."""
        return self.server.stop(fast_within_s=0.1)


# ---------------------------------------------------------------------- ports


def web_socket(variables: Mapping[str, str]) -> socket.socket:
    """A listening socket on the port of ``VITRINE_PORT``, or on the first free one from 8000.

    Raises:
        EmbeddedError: the port that was asked for is taken or is no port.
    """
    wanted = variables.get("VITRINE_PORT", "")
    if not wanted:
        return _first_free(DEFAULT_PORT)
    try:
        found = _listen(int(wanted))
    except (ValueError, OverflowError):
        raise EmbeddedError(f"VITRINE_PORT is {wanted!r}, which is no port number (1 to 65535).") from None
    except PermissionError:
        raise EmbeddedError(f"You may not use port {wanted}. Set VITRINE_PORT to one from 1024 on.") from None
    if found is None:
        raise EmbeddedError(
            f"Port {wanted} is taken by another program. Set VITRINE_PORT to a free one, or unset it and one "
            "is chosen."
        )
    return found


def model_ports() -> tuple[int, int]:
    """Two free ports, for gRPC and REST."""
    with _first_free(_FIRST_MODEL_PORT) as grpc:
        grpc_port: int = grpc.getsockname()[1]
        with _first_free(grpc_port + 1) as rest:
            return grpc_port, rest.getsockname()[1]


def health_ports() -> dict[str, int]:
    """A free port for each of :data:`HEALTH_SERVICES`."""
    with ExitStack() as held:
        ports: dict[str, int] = {}
        port = _FIRST_HEALTH_PORT
        for service in HEALTH_SERVICES:
            # Held until all are found, so that nobody else takes one meanwhile.
            found = held.enter_context(_first_free(port))
            ports[service] = found.getsockname()[1]
            port = ports[service] + 1
        return ports


def _first_free(port: int) -> socket.socket:
    for candidate in range(port, port + 500):
        if (found := _listen(candidate)) is not None:
            return found
    raise EmbeddedError(f"No port from {port} to {port + 499} is free on {HOST}.")


def _listen(port: int) -> socket.socket | None:
    """A listening socket, or None if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Else the connections of an earlier run would keep the port for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listener
