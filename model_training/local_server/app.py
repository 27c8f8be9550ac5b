"""The server's command line: what is wrong with it is said before TensorFlow is loaded."""

from __future__ import annotations

import socket

from model_training.local_server.errors import PortTakenError
from model_training.local_server.options import Options
from pipeline.telemetry.health import Health, serve_health
from pipeline.telemetry.logs import configure_logs
from pipeline.telemetry.settings import ProcessSettings
from pipeline.telemetry.stopping import stop_on_signals

# To load a version takes seconds; while it does there is no look at the others.
_LONGEST_LOAD_S = 600.0


def run(options: Options, settings: ProcessSettings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Args:
        options: the command line.
        settings: where to answer about health, and how to log.

    Raises:
        PortTakenError: of requests.
        CannotListenError: for questions about health.
        ConfigError: of the models.config file.
    """
    stop = stop_on_signals()
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)  # of one that was killed
    models = options.models()
    for port in (options.grpc_port, options.rest_port):
        _refuse_taken(options.host, port)

    health = Health(max_silence_s=_LONGEST_LOAD_S + 2 * options.poll_s)
    answering = serve_health(health, settings)
    configure_logs("model-server", settings.log_format)
    with answering:
        from model_training.local_server.running import serve  # noqa: PLC0415 - loads TensorFlow: 4 s

        if not stop.is_set():
            serve(options, models, stop, health)


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
