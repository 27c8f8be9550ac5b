"""How the pages are, asked from gunicorn's master: it has no database and no requests of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from pipeline.telemetry.metrics import READY

_ANSWERS_WITHIN_S = 5.0

_WHY_WORKERS = "Requests are answered by worker processes; gunicorn starts those that end again."
_WHY_SITE = "The pages themselves say what they miss: the same as on their own /readyz."


class Master(Protocol):
    """What we need of gunicorn's ``Arbiter``."""

    WORKERS: dict[int, Any]
    LISTENERS: list[Any]


class Site:
    """Implements :class:`pipeline.telemetry.health.Condition`; everything is looked at when it is asked."""

    def __init__(self, master: Master) -> None:
        self._master = master

    def liveness(self) -> str:
        """Empty if there are workers."""
        return "" if self._master.WORKERS else "no worker process"

    def readiness(self) -> str:
        """Empty if the pages say that they are ready."""
        return self.liveness() or self._trouble()

    def checks(self) -> dict[str, dict[str, object]]:
        """Workers, and what the pages say."""
        missing = self.liveness()
        trouble = missing or self._trouble()
        return {
            "workers": {"ok": not missing, "detail": missing, "why": _WHY_WORKERS},
            "site": {"ok": not trouble, "detail": trouble, "why": _WHY_SITE},
        }

    def _trouble(self) -> str:
        # A list that the master empties when it begins to stop.
        listeners = list(self._master.LISTENERS)
        if not listeners:
            return "it is about to end"
        connection = _connection(listeners[0].getsockname())
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/readyz", headers={"Host": _host()})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                return f"it does not answer: {error or type(error).__name__}"
        return "" if answer.status == http.HTTPStatus.OK else _said(answer.status, body)


def _host() -> str:
    """A name under which the site lets itself be asked."""
    name = os.environ.get("VITRINE_ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    return name if name and name != "*" else "127.0.0.1"


def _connection(address: Any) -> http.client.HTTPConnection:
    """To an address that a server listens on: a path, or host and port."""
    if isinstance(address, str):
        connection = http.client.HTTPConnection("localhost", timeout=_ANSWERS_WITHIN_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(_ANSWERS_WITHIN_S)
        with contextlib.suppress(OSError):
            # Whoever asks over a socket that is not connected is told so.
            connection.sock.connect(address)
        return connection
    host, port = address[:2]
    # Bound to all addresses, it answers on this one, too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return http.client.HTTPConnection(host, port, timeout=_ANSWERS_WITHIN_S)


def _said(status: int, body: bytes) -> str:
    try:
        checks: dict[str, dict[str, Any]] = json.loads(body)["checks"]
        return "; ".join(f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"])
    except (ValueError, KeyError, TypeError):
        return f"it answers {status}"


class _Numbers:
    """A collector: what the workers counted, and whether the site is ready at this moment."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._counted = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        (said,) = READY.describe()
        ready = GaugeMetricFamily(said.name, said.documentation)
        ready.add_metric([], float(not self._site.readiness()))
        yield ready
        for family in self._counted.collect():  # type: ignore[no-untyped-call]
            # No worker knows whether the site is ready; the file has a 0 of each.
            if family.name != ready.name:
                yield family


def site_registry(site: Site) -> CollectorRegistry:
    """What ``/metrics`` of the pages shows."""
    registry = CollectorRegistry()
    registry.register(_Numbers(site))
    return registry
