"""Tells a supervisor whether this worker makes progress, and whether what it depends on answers."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_TOUCH_EVERY_S = 1.0


class Health:
    """What the worker says of itself. Safe to ask from other threads.

    Args:
        max_silence_s: without a beat for so long the worker counts as hung.
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
        """The worker is about to take its first message."""
        with self._lock:
            self._started = True

    def outage(self, trouble: str) -> None:
        """Something that we depend on does not answer."""
        with self._lock:
            self._trouble = trouble

    def outage_over(self) -> None:
        """What was missed has answered."""
        with self._lock:
            self._trouble = ""

    def liveness(self) -> str:
        """Empty if alive, else what is wrong."""
        with self._lock:
            silence_s = time.monotonic() - self._beaten
        return "" if silence_s <= self._max_silence_s else f"no progress for {silence_s:.0f} s"

    def readiness(self) -> str:
        """Empty if ready, else what is wrong."""
        with self._lock:
            return self._trouble or ("" if self._started else "starting")


class HealthServer:
    """``GET /healthz`` and ``GET /readyz``: 200 ``ok``, or 503 with what is wrong."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        checks = {"/healthz": health.liveness, "/readyz": health.readiness}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                check = checks.get(self.path)
                trouble = check() if check is not None else "not found"
                status = 404 if check is None else 503 if trouble else 200
                body = f"{trouble or 'ok'}\n".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """A probe every few seconds is no news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens; of interest if port 0 was asked for."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
