"""Whether this process makes progress, and whether what it depends on answers; told by HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Protocol, Self

import structlog
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pipeline.telemetry.metrics import READY
from pipeline.telemetry.settings import ProcessSettings

_TOUCH_EVERY_S = 1.0
# Whoever connects and says nothing keeps a thread for so long.
_ASKED_WITHIN_S = 10.0

_WHY_PROGRESS = "A main loop that stands still does not come back by itself: restart the process."
_WHY_STARTED = "Nothing is taken up before everything that is needed was seen once."
_WHY_DEPENDENCIES = "While something is down the work waits and nothing is lost: mend that, do not restart."

_log = structlog.get_logger()


class Health:
    """What a process says of itself. Safe to ask from other threads.

    Args:
        max_silence_s: without a beat for so long the process counts as hung.
        heartbeat_file: touched with every beat, at most once per second; None: no file.
    """

    def __init__(self, *, max_silence_s: float, heartbeat_file: Path | None = None) -> None:
        self._max_silence_s = max_silence_s
        self._file = heartbeat_file
        self._lock = threading.Lock()
        self._beaten = time.monotonic()
        self._touched = float("-inf")
        self._started = False
        self._trouble = ""

    def beat(self) -> None:
        """The main loop is alive, be it working, waiting or backing off."""
        with self._lock:
            self._beaten = time.monotonic()
            if self._file is None or self._beaten - self._touched < _TOUCH_EVERY_S:
                return
            self._touched = self._beaten
        self._file.touch()

    def started(self) -> None:
        """Everything that is needed was seen; the process is about to take up its work."""
        with self._lock:
            self._started = True
            READY.set(not self._trouble)

    def outage(self, trouble: str) -> None:
        """Something that we depend on does not answer."""
        with self._lock:
            self._trouble = trouble
            READY.set(0)

    def outage_over(self) -> None:
        """What was missed has answered."""
        with self._lock:
            self._trouble = ""
            READY.set(self._started)

    def liveness(self) -> str:
        """Empty if alive, else what is wrong."""
        with self._lock:
            silence_s = time.monotonic() - self._beaten
        return "" if silence_s <= self._max_silence_s else f"no progress for {silence_s:.0f} s"

    def readiness(self) -> str:
        """Empty if ready, else what is wrong."""
        with self._lock:
            return self._trouble or ("" if self._started else "starting")

    def checks(self) -> dict[str, dict[str, object]]:
        """What was looked at, what is wrong with it, and why it matters."""
        with self._lock:
            started, trouble = self._started, self._trouble
        return {
            "progress": _check(self.liveness(), _WHY_PROGRESS),
            "started": _check("" if started else "starting", _WHY_STARTED),
            "dependencies": _check(trouble, _WHY_DEPENDENCIES),
        }


def _check(problem: str, why: str) -> dict[str, object]:
    return {"ok": not problem, "detail": problem, "why": why}


class Condition(Protocol):
    """What a :class:`HealthServer` asks; :class:`Health`, or who finds it out when asked."""

    def liveness(self) -> str:
        """Empty if alive, else what is wrong."""
        ...

    def readiness(self) -> str:
        """Empty if ready, else what is wrong."""
        ...

    def checks(self) -> dict[str, dict[str, object]]:
        """What was looked at, what is wrong with it, and why it matters."""
        ...


class _Server(ThreadingHTTPServer):
    # Whoever asks must not hold up our end.
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without http.server's question for our own name, which a name server that is away holds up."""
        if self.address_family == socket.AF_INET6:
            # “::” means the addresses of the older kind, too, whatever the machine is set to.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)

    def handle_error(self, _request: object, client_address: object) -> None:
        """Whoever asked went away, or something is wrong with an answer; the process goes on."""
        _log.warning("a question about health got no answer", client=str(client_address), exc_info=True)


class HealthServer:
    """``GET /healthz`` and ``/readyz`` (200, or 503 with what is wrong, as JSON) and ``/metrics``.

    Args:
        health: of this process.
        host: address to listen on; ``0.0.0.0`` is every one of IPv4, ``::`` every one of both kinds.
        port: 0 takes any that is free.
        registry: what ``/metrics`` shows.

    Raises:
        OSError: the port is taken, or the host is no address of this machine.
    """

    def __init__(
        self, health: Condition, host: str, port: int, *, registry: CollectorRegistry = REGISTRY
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _ASKED_WITHIN_S

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    encode, kind = choose_encoder(self.headers.get("Accept", ""))
                    self._send(HTTPStatus.OK, kind, encode(registry))
                elif path == "/healthz":
                    problem = health.liveness()
                    self._tell(not problem, {"status": problem or "ok"})
                elif path == "/readyz":
                    ready = not health.readiness()
                    self._tell(ready, {"ready": ready, "checks": health.checks()})
                else:
                    self._send(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"not found\n")

            def _tell(self, fine: bool, body: dict[str, object]) -> None:  # noqa: FBT001 - the answer itself
                status = HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(status, "application/json", json.dumps(body).encode())

            def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """A probe every few seconds is no news."""

        self._server = _Server((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens; of interest if port 0 was asked for."""
        return int(self._server.server_address[1])

    def leave_to_parent(self) -> None:
        """In a process that was forked from the one that serves: let go of its port."""
        self._server.socket.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class CannotListenError(OSError):
    """The port for questions about health is taken, or its host is no address of this machine."""


def serve_health(health: Health, settings: ProcessSettings) -> AbstractContextManager[object]:
    """The server that the settings ask for, or nothing.

    Raises:
        CannotListenError: what the settings say has to be changed.
    """
    if not settings.health_port:
        return nullcontext()
    try:
        return HealthServer(health, settings.health_host, settings.health_port)
    except OSError as error:
        place = f"{settings.health_host}:{settings.health_port}"
        raise CannotListenError(f"cannot listen on {place}: {error.strerror}") from error
