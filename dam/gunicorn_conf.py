"""How gunicorn serves the pages.

``gunicorn --config python:dam.gunicorn_conf --bind ADDRESS dam.wsgi:application`` starts them. What stands
here holds wherever they run; a command line says where to listen, and what differs. The number of worker
processes is that of ``WEB_CONCURRENCY`` (2).

Its lines have the form of everybody's, and its master answers ``/metrics``, ``/healthz`` and ``/readyz`` on
``VITRINE_HEALTH_PORT``, for all workers: each of them writes its numbers into files of one folder. That is
``PROMETHEUS_MULTIPROC_DIR``, or a new one; it goes with the master.

It writes nothing but that folder, which lies below the temporary one.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import structlog
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker
from psycopg import ProgrammingError

from dam.embedded.state import is_key_of_one_replica
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


class PageWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker with threads; one that is to end finishes requests, and waits for nobody idle."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See gunicorn's, which would wait for connections that a proxy keeps open."""
        for connection in self.keepalived_conns:
            connection.timeout = 0
        super().handle_exit(sig, frame)


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


def _settled() -> ProcessSettings:
    """What the environment says; whoever started us is told what keeps the settings from loading."""
    try:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
        importlib.import_module(os.environ["DJANGO_SETTINGS_MODULE"])
        return ProcessSettings()
    except (ValueError, OSError, ProgrammingError) as error:
        # Of weight, and hardly ever needed.
        from dam.monitoring.doctor.unsettled import unsettled_text  # noqa: PLC0415

        sys.exit(unsettled_text(error))


_settings = _settled()
configure_logs("web", _settings.log_format)
if is_key_of_one_replica() and "VITRINE_SUPERVISED" not in os.environ:
    structlog.get_logger().warning(
        "VITRINE_SECRET_KEY is not set: sessions are signed with a key of this process's own home, which "
        "other replicas do not know, and which goes with that folder"
    )
if _settings.health_port:
    _shared_folder()

logger_class = StructuredLogger
worker_class = "dam.gunicorn_conf.PageWorker"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 8
# Of a worker's loop, not of a request: an upload may take as long as its bytes keep coming.
timeout = 120
# What SIGTERM leaves to requests under way, in seconds.
graceful_timeout = 30
# Longer than proxies keep an idle connection (a minute, mostly): one that is closed at their end first
# cannot break under a request that they are just sending.
keepalive = 75
# The site is loaded once, before the fork: half the work at the start, and its memory is shared.
preload_app = True
control_socket_disable = True
if os.access("/dev/shm", os.W_OK):  # noqa: S108 - only files without a name lie there
    # Workers touch a file to show that they live; on a disk that stalls they would be killed for it.
    worker_tmp_dir = "/dev/shm"  # noqa: S108


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
    # What was loaded stays. To look through all of it for garbage, now and then, halts a request for 0.1 s.
    gc.freeze()


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
