"""``python -m workers``: one tagging worker, told by its environment what to work on."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import cv2
import structlog

from pipeline.blobs import blob_store_from_url
from pipeline.ports import DependencyDownError
from pipeline.telemetry.health import Health, serve_health
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.stopping import call_on_signals
from pipeline.telemetry.tracing import TracingNotInstalledError, configure_tracing, flush_traces
from pipeline.tfserving.client import TensorFlowServing
from pipeline.transports import transport_from_url
from workers.batch import PictureStalledError, Ports
from workers.memory import return_large_buffers_at_once
from workers.patience import Shutdown, end_by_force_when_overdue
from workers.settings import WorkerSettings
from workers.tagger import Tagger

_log = structlog.get_logger()

# Beyond the time that one picture may take there is no reason to be silent.
_SILENCE_MARGIN_S = 60.0


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 if all that was delivered is finished then."""
    with contextlib.ExitStack() as stack:
        try:
            settings = WorkerSettings()
            configure_logs("worker", settings.log_format)
            configure_tracing("worker")
            stack.callback(flush_traces)
            health = _health(settings)
            stack.enter_context(serve_health(health, settings))
            ports = _ports(settings, stack)
        # ValidationError is a ValueError; a port that is taken is an OSError.
        except (ValueError, OSError, TracingNotInstalledError) as error:
            print(f"The worker's settings (VITRINE_…) are wrong:\n{error}", file=sys.stderr)  # noqa: T201
            return os.EX_USAGE
        except DependencyDownError as error:
            _log.critical("cannot start", error=str(error))
            return os.EX_UNAVAILABLE
        return _work(settings, ports, health)


def _health(settings: WorkerSettings) -> Health:
    return Health(
        # A prediction may be asked of a second server, when the first let the deadline pass.
        max_silence_s=settings.picture_deadline_s + 2 * settings.predict_deadline_s + _SILENCE_MARGIN_S,
        heartbeat_file=Path(settings.heartbeat_file) if settings.heartbeat_file else None,
    )


def _ports(settings: WorkerSettings, stack: contextlib.ExitStack) -> Ports:
    """What the settings name; nothing is connected yet, but a folder of blobs has to be there.

    Raises:
        ValueError, OSError: an address or a file that cannot be used.
        DependencyDownError: the folder cannot be opened.
    """
    transport = stack.enter_context(transport_from_url(settings.queue_url))
    predictor = stack.enter_context(
        TensorFlowServing(
            settings.model_servers,
            model_name=settings.model_name,
            timeout_s=settings.predict_deadline_s,
            ca_file=settings.model_ca_file,
        )
    )
    return Ports(transport, blob_store_from_url(settings.blob_url), predictor)


def _work(settings: WorkerSettings, ports: Ports, health: Health) -> int:
    return_large_buffers_at_once()
    # Pictures are decoded side by side by our own threads; more of them inside OpenCV only contend.
    cv2.setNumThreads(1)
    shutdown = Shutdown(settings.shutdown_deadline_s)
    call_on_signals(shutdown.ask)
    end_by_force_when_overdue(shutdown)
    try:
        finished = Tagger(settings, ports, shutdown, health).run()
    except PictureStalledError as stalled:
        _log.critical("ending the process by force", reason=str(stalled))
        flush_traces()
        os._exit(os.EX_SOFTWARE)
    return os.EX_OK if finished else os.EX_TEMPFAIL


if __name__ == "__main__":
    sys.exit(main())
