"""The server's command line: what is wrong with it is said before TensorFlow is loaded."""

from __future__ import annotations

import signal
import socket
import threading

from model_training.local_server.errors import PortTakenError
from model_training.local_server.options import Options


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first.

    Raises:
        PortTakenError: of either port.
        ConfigError: of the models.config file.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.ready_file is not None:
        options.ready_file.unlink(missing_ok=True)  # of one that was killed
    models = options.models()
    for port in (options.grpc_port, options.rest_port):
        _refuse_taken(options.host, port)

    from model_training.local_server.running import serve  # noqa: PLC0415 - loads TensorFlow: 4 s

    if not stop.is_set():
        serve(options, models, stop)


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
