"""A running server: starts both doors, waits, stops them in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from model_training.local_server.config import ConfigError, ModelConfig, read_models_config
from model_training.local_server.grpc_service import serve_grpc
from model_training.local_server.options import Options
from model_training.local_server.rest import RestServer
from model_training.local_server.servable import Threads
from model_training.local_server.versions import Versions
from pipeline.telemetry.health import Health

log = structlog.get_logger(__name__)

# Longest that a batch of 32 takes on a slow machine, with room.
_GRACE_S = 30.0


class _ConfigWatcher:
    """Reads ``models.config`` again when it changes; a broken one changes nothing."""

    def __init__(self, path: Path, versions: Versions) -> None:
        self._path = path
        self._versions = versions
        self._seen = self._content()

    def _content(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            return None

    def look(self) -> None:
        content = self._content()
        if content is None or content == self._seen:
            return
        self._seen = content
        try:
            self._versions.reconfigure(read_models_config(self._path), wait=False)
            log.info("models.config read again", path=str(self._path))
        except ConfigError as error:
            log.warning("models.config is wrong, the old one stays in force", error=str(error))


def serve(options: Options, models: Mapping[str, ModelConfig], stop: threading.Event, health: Health) -> None:
    """Serve the models until ``stop`` is set.

    Args:
        options: the command line.
        models: what to serve, by name.
        stop: whether to end.
        health: beats with every look at the versions; started when every model has one that answers.

    Raises:
        PortTakenError: of either port.
    """
    threads = Threads(options.intra_op_threads, options.inter_op_threads)
    versions = Versions(models, threads=threads, poll_s=options.poll_s)
    grpc_server, grpc_port = serve_grpc(versions, options.host, options.grpc_port)
    try:
        rest_server = RestServer(versions, options.host, options.rest_port)
    except Exception:
        grpc_server.stop(0)
        raise
    log.info(
        "stand-in for TensorFlow Serving (not TensorFlow Serving itself)",
        host=options.host,
        grpc=grpc_port,
        rest=rest_server.port,
    )
    watcher = _ConfigWatcher(options.models_config, versions) if options.models_config else None

    def before_poll() -> None:
        health.beat()
        if watcher is not None:
            watcher.look()

    versions.start(before_poll)
    ports = {"grpc": grpc_port, "rest": rest_server.port}
    announcer = threading.Thread(target=_announce, args=(options, versions, ports, health), name="announce")
    announcer.start()
    stop.wait()
    log.info("stopping")
    grpc_stopped = grpc_server.stop(_GRACE_S)
    rest_server.close(_GRACE_S)
    grpc_stopped.wait()
    versions.close()
    announcer.join()
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)
    log.info("stopped")


def _announce(options: Options, versions: Versions, ports: Mapping[str, int], health: Health) -> None:
    if not versions.wait_available():
        return
    health.started()
    if options.ready_file is None:
        return
    partial = options.ready_file.with_name(options.ready_file.name + ".partial")
    partial.write_text(json.dumps(ports), encoding="utf-8")
    partial.replace(options.ready_file)
