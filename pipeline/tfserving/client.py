"""Asks TensorFlow Serving, or anything that speaks its gRPC protocol, for predictions."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.messages import ModelIdentity
from pipeline.ports import (
    IncompatibleModelError,
    ModelMissingError,
    ModelSpec,
    Predictions,
    PredictorDownError,
    PreprocessSpec,
)
from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.tensors import TensorError, to_array, to_strings, to_tensor

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_SPEC_SIGNATURE = "spec"
_UNKNOWN_LABEL = "Unrecognized servable version label"
_NO_SIGNATURE = "Serving signature key"

# Predicting twice gives the same answer, so what a restart cut off is simply asked again.
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


@dataclass(frozen=True, slots=True)
class _Server:
    address: str
    channel: grpc.Channel
    predict: Any


class TensorFlowServing:
    """A :class:`pipeline.ports.Predictor` over one or several servers of the same models. Thread-safe.

    Each call goes to the next server in turn, and on to the others if that one cannot be reached.
    """

    def __init__(self, addresses: str | Sequence[str], *, model_name: str, timeout_s: float = 60.0) -> None:
        """Connects at the first call, not here.

        Args:
            addresses: ``host:port``, several separated by commas or as a sequence. A host name with
                several addresses is spread over by gRPC itself.
            model_name: As the servers know it.
            timeout_s: Deadline of one call, its retries included.

        Raises:
            ValueError: no address.
        """
        split = addresses.split(",") if isinstance(addresses, str) else addresses
        names = [address.strip() for address in split if address.strip()]
        if not names:
            raise ValueError("at least one address of a model server is needed")
        self._model_name = model_name
        self._timeout_s = timeout_s
        self._servers = [self._connected(address) for address in names]
        self._turns = itertools.count()
        self._specs: dict[int, ModelSpec] = {}
        self._lock = threading.Lock()

    @staticmethod
    def _connected(address: str) -> _Server:
        channel = grpc.insecure_channel(address, options=_OPTIONS)
        call = channel.unary_unary(
            _PREDICT,
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        return _Server(address, channel, call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        for server in self._servers:
            server.channel.close()

    def spec(self, label: str = "") -> ModelSpec:
        """The spec of the version that serves ``label`` now (empty: the default one).

        Raises:
            PredictorDownError, ModelMissingError, IncompatibleModelError
        """
        request = self._request(label=label, signature=_SPEC_SIGNATURE)
        _, response = self._call(request, self._in_turn())
        return self._remembered(response)

    def predict(self, images: NDArray[np.uint8], *, label: str = "") -> Predictions:
        """Scores and embeddings for uint8 RGB ``[N, H, W, 3]``, with the spec of the version that answered.

        Raises:
            PredictorDownError, ModelMissingError, IncompatibleModelError
            ValueError: the images have another shape or type than the version asks for.
        """
        request = self._request(label=label)
        request.inputs["images"].CopyFrom(to_tensor(images))
        server, response = self._call(request, self._in_turn())
        version = response.model_spec.version.value
        try:
            scores = to_array(response.outputs["scores"])
            embeddings = to_array(response.outputs["embedding"])
        except TensorError as error:
            raise IncompatibleModelError(f"version {version} answers what we cannot read: {error}") from error
        spec = self._specs.get(version)
        if spec is None or scores.shape[-1] != len(spec.labels):
            # Asked of the server that answered: the others may not have this version yet.
            asked = self._request(version=version, signature=_SPEC_SIGNATURE)
            spec = self._remembered(self._call(asked, [server])[1])
        if scores.shape != (len(images), len(spec.labels)) or embeddings.shape[:1] != (len(images),):
            raise IncompatibleModelError(
                f"version {version} answers {len(images)} pictures with scores of shape {scores.shape} "
                f"and embeddings of shape {embeddings.shape}, but has {len(spec.labels)} labels"
            )
        return Predictions(spec, scores.astype(np.float32), embeddings.astype(np.float32))

    # ------------------------------------------------------------ the call

    def _request(
        self, *, label: str = "", version: int | None = None, signature: str = ""
    ) -> pb.PredictRequest:
        request = pb.PredictRequest()
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        elif label:
            request.model_spec.version_label = label
        return request

    def _in_turn(self) -> list[_Server]:
        start = next(self._turns) % len(self._servers)
        return self._servers[start:] + self._servers[:start]

    def _call(self, request: pb.PredictRequest, servers: list[_Server]) -> tuple[_Server, pb.PredictResponse]:
        """Ask the first server that can be reached."""
        for position, server in enumerate(servers):
            try:
                return server, server.predict(request, timeout=self._timeout_s)
            except grpc.RpcError as error:
                last = position == len(servers) - 1
                if last or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise _translated(error, server.address) from error
        raise AssertionError("there is at least one server")

    def _remembered(self, response: pb.PredictResponse) -> ModelSpec:
        version = response.model_spec.version.value
        spec = _read_spec(response, version)
        with self._lock:
            self._specs[version] = spec
        return spec


def _read_spec(response: pb.PredictResponse, version: int) -> ModelSpec:
    try:
        text = {name: to_strings(tensor) for name, tensor in response.outputs.items()}
        (preprocess,) = text["preprocess"]
        identity = ModelIdentity(
            name=text["name"][0],
            version=version,
            preprocess_id=text["preprocess_id"][0],
            vocabulary_id=text["vocabulary_id"][0],
            embedding_id=text["embedding_id"][0],
        )
        return ModelSpec(identity, PreprocessSpec.model_validate_json(preprocess), text["labels"])
    except (KeyError, IndexError, TensorError, UnicodeDecodeError, ValidationError, ValueError) as error:
        raise IncompatibleModelError(f"version {version} has no readable spec: {error}") from error


def _translated(error: grpc.RpcError, address: str) -> Exception:
    """TensorFlow Serving's status as the port's exception."""
    code, details = error.code(), error.details() or ""
    message = f"{address}: {code.name}: {details}"
    if code is grpc.StatusCode.FAILED_PRECONDITION and details.startswith(_NO_SIGNATURE):
        return IncompatibleModelError(message)
    if code in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION} or details.startswith(
        _UNKNOWN_LABEL
    ):
        return ModelMissingError(message)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return ValueError(message)
    # Whatever else goes wrong there is not the picture's fault.
    return PredictorDownError(message)
