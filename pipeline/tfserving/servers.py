"""Several model servers as one: calls take turns, and one that is down is passed over at no cost.

A call goes to the next server in turn. If that one cannot be reached, or lets the deadline pass, the
call goes on to another, and the server is set aside: it gets no calls until a small question, asked in
the background, has been answered. So a server that hangs costs one deadline and not one for each call.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import structlog

from pipeline.tfserving import predict_pb2 as pb

_PREDICT = "/tensorflow.serving.PredictionService/Predict"

# Of all statuses only UNAVAILABLE says that trying again at once may help: the server restarts, drains,
# or its batching queue is full. A deadline that passed leaves no time for another attempt,
# RESOURCE_EXHAUSTED is a message too large, INTERNAL and INVALID_ARGUMENT come again with the same
# pictures, and NOT_FOUND takes as long as loading a model does: for those the caller waits, or acts.
# Predicting twice gives the same answer, so an attempt whose answer was lost does no harm.
_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": "tensorflow.serving.PredictionService"}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)
_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    # A batch of 32 pictures is 6.5 MB; the defaults stop at 4 MB, and retry nothing above 256 KB.
    ("grpc.max_receive_message_length", 256 * 2**20),
    ("grpc.max_send_message_length", 256 * 2**20),
    ("grpc.per_rpc_retry_buffer_size", 64 * 2**20),
    # A server that comes back is found within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)

DOWN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
"""Statuses that tell of a server and not of what it was asked."""

_FIRST_LOOK_S, _LONGEST_LOOK_S = 1.0, 15.0
_LOOK_DEADLINE_S = 5.0

_log = structlog.get_logger()


class Server:
    """One address, its connection, and whether it answers. Thread-safe."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None) -> None:
        self.address = address
        self._channel = (
            grpc.insecure_channel(address, options=_OPTIONS)
            if credentials is None
            else grpc.secure_channel(address, credentials, options=_OPTIONS)
        )
        self._predict: Any = self._channel.unary_unary(
            _PREDICT,
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        self._lock = threading.Lock()
        self._aside_since: float | None = None
        self._look_at = 0.0
        self._pause_s = _FIRST_LOOK_S
        self._looking = False

    def close(self) -> None:
        """Drop the connection."""
        self._channel.close()

    def call(self, request: pb.PredictRequest, timeout_s: float) -> pb.PredictResponse:
        """Ask.

        Raises:
            grpc.RpcError: the server is set aside if it is down, or too late.
        """
        try:
            response: pb.PredictResponse = self._predict(request, timeout=timeout_s)
        except grpc.RpcError as error:
            self._learn(error.code())
            raise
        self._learn(grpc.StatusCode.OK)
        return response

    def takes_calls(self, question: pb.PredictRequest) -> bool:
        """False while it is set aside; then it is asked a small question now and again."""
        with self._lock:
            if self._aside_since is None:
                return True
            if self._looking or time.monotonic() < self._look_at:
                return False
            self._looking = True
        future = self._predict.future(question, timeout=_LOOK_DEADLINE_S)
        future.add_done_callback(lambda done: self._learn(done.code()))
        return False

    def _learn(self, code: grpc.StatusCode) -> None:
        """What the end of a call tells of the server; that a model is missing is an answer too."""
        now = time.monotonic()
        with self._lock:
            self._looking = False
            aside_since = self._aside_since
            if code is grpc.StatusCode.CANCELLED:  # by close()
                return
            if code not in DOWN:
                self._aside_since, self._pause_s = None, _FIRST_LOOK_S
            else:
                self._aside_since = now if aside_since is None else aside_since
                self._look_at = now + self._pause_s
                self._pause_s = min(2 * self._pause_s, _LONGEST_LOOK_S)
        if code in DOWN and aside_since is None:
            _log.warning("model server set aside", server=self.address, status=code.name)
        elif code not in DOWN and aside_since is not None:
            _log.info("model server is back", server=self.address, away_s=round(now - aside_since, 1))


class Servers:
    """All servers of the same models.

    Args:
        addresses: ``host:port``, several separated by commas or as a sequence. A host name with several
            addresses is spread over by gRPC itself.
        ca_file: PEM certificates to trust; with it connections are encrypted.
        question: what is asked of a server that was set aside; cheap to answer.

    Raises:
        ValueError: no address.
        OSError: the certificates cannot be read.
    """

    def __init__(
        self, addresses: str | Sequence[str], *, question: pb.PredictRequest, ca_file: Path | None = None
    ) -> None:
        split = addresses.split(",") if isinstance(addresses, str) else addresses
        names = [address.strip() for address in split if address.strip()]
        if not names:
            raise ValueError("at least one address of a model server is needed")
        credentials = grpc.ssl_channel_credentials(ca_file.read_bytes()) if ca_file else None
        self._servers = [Server(address, credentials) for address in names]
        self._question = question
        self._turns = itertools.count()

    def close(self) -> None:
        """Drop the connections."""
        for server in self._servers:
            server.close()

    def in_turn(self) -> Iterator[Server]:
        """Whom to ask, one after the other until somebody answers.

        Those that were set aside come last: only where all others failed as well.
        """
        start = next(self._turns) % len(self._servers)
        order = self._servers[start:] + self._servers[:start]
        aside = []
        for server in order:
            if server.takes_calls(self._question):
                yield server
            else:
                aside.append(server)
        yield from aside
