"""How gunicorn serves the pages: ``gunicorn --config python:dam.gunicorn_conf dam.wsgi:application``.

Its lines have the form of everybody's, and its master answers ``/metrics``, ``/healthz`` and ``/readyz`` on
``VITRINE_HEALTH_PORT``, for all workers: each of them writes its numbers into files of one folder. That is
``PROMETHEUS_MULTIPROC_DIR``, or a new one; it goes with the master.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.glogging import Logger

from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.settings import ProcessSettings
from pipeline.telemetry.tracing import configure_tracing, flush_traces

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

    from pipeline.telemetry.health import HealthServer

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class StructuredLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own lines, by the handler of the root logger."""

    def setup(self, cfg: Any) -> None:
        """See gunicorn's."""
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class _Master:
    """What gunicorn's master holds, and its workers inherit."""

    serves: HealthServer | None = None


def _shared_folder() -> None:
    """Whatever imports ``prometheus_client`` after this counts in files of that folder."""
    if not os.environ.get(_FOLDER):
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="vitrine-metrics-")
        return
    # Numbers of an earlier run that was killed would be added to ours.
    shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)
    Path(os.environ[_FOLDER]).mkdir(parents=True)


_settings = ProcessSettings()
configure_logs("web", _settings.log_format)
if _settings.health_port:
    _shared_folder()

logger_class = StructuredLogger


def when_ready(server: Arbiter) -> None:
    """The master is about to start its workers."""
    if not _settings.health_port:
        return
    # Only now, for they import prometheus_client.
    from dam.telemetry.site import Site, site_registry  # noqa: PLC0415
    from pipeline.telemetry.health import HealthServer  # noqa: PLC0415

    site = Site(server)
    registry = site_registry(site)
    _Master.serves = HealthServer(site, _settings.health_host, _settings.health_port, registry=registry)
    _Master.serves.__enter__()


def post_fork(_server: Arbiter, _worker: Worker) -> None:
    """In a new worker."""
    if _Master.serves is not None:
        _Master.serves.leave_to_parent()
        _Master.serves = None
    configure_tracing("web")


def worker_exit(_server: Arbiter, _worker: Worker) -> None:
    """In a worker that ends."""
    flush_traces()


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """In the master, after a worker has ended."""
    if _settings.health_port:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - as above

        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Arbiter) -> None:
    """In the master, at its end."""
    if _Master.serves is not None:
        _Master.serves.__exit__(None, None, None)
    if _settings.health_port:
        shutil.rmtree(os.environ[_FOLDER], ignore_errors=True)
