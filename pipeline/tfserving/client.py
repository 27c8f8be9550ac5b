"""Asks TensorFlow Serving, or anything that speaks its gRPC protocol, for predictions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

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
from pipeline.tfserving.servers import DOWN, Server, Servers
from pipeline.tfserving.tensors import TensorError, to_array, to_strings, to_tensor

_SPEC_SIGNATURE = "spec"
_UNKNOWN_LABEL = "Unrecognized servable version label"
_NO_SIGNATURE = "Serving signature key"
_MOST_DEADLINES = 2


class TensorFlowServing:
    """A :class:`pipeline.ports.Predictor` over one or several servers of the same models. Thread-safe."""

    def __init__(
        self,
        addresses: str | Sequence[str],
        *,
        model_name: str,
        timeout_s: float = 60.0,
        ca_file: Path | None = None,
    ) -> None:
        """Connects at the first call, not here.

        Args:
            addresses: see :class:`pipeline.tfserving.servers.Servers`, and for ``ca_file`` too.
            model_name: As the servers know it.
            timeout_s: Deadline of one call to one server, its retries included. After a server that let
                it pass one other is asked, so a prediction takes twice as long at most.
            ca_file: PEM certificates to trust; None: connections are not encrypted.

        Raises:
            ValueError: no address.
            OSError: the certificates cannot be read.
        """
        self._model_name = model_name
        self._timeout_s = timeout_s
        self._servers = Servers(addresses, question=self._request(signature=_SPEC_SIGNATURE), ca_file=ca_file)
        # By version alone: one number means one model on every server that serves this name.
        self._specs: dict[int, ModelSpec] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._servers.close()

    def spec(self, label: str = "") -> ModelSpec:
        """The spec of the version that serves ``label`` now (empty: the default one).

        Raises:
            PredictorDownError, ModelMissingError, IncompatibleModelError
        """
        request = self._request(label=label, signature=_SPEC_SIGNATURE)
        _, response = self._call(request, self._servers.in_turn())
        return self._remembered(response)

    def predict(self, images: NDArray[np.uint8], *, label: str = "") -> Predictions:
        """Scores and embeddings for uint8 RGB ``[N, H, W, 3]``, with the spec of the version that answered.

        Raises:
            PredictorDownError, ModelMissingError, IncompatibleModelError
            ValueError: the images have another shape or type than the version asks for.
        """
        request = self._request(label=label)
        request.inputs["images"].CopyFrom(to_tensor(images))
        server, response = self._call(request, self._servers.in_turn())
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

    def _call(
        self, request: pb.PredictRequest, servers: Iterable[Server]
    ) -> tuple[Server, pb.PredictResponse]:
        """Ask one server after the other until one answers.

        While a version is rolled out, some servers have it and some do not, and one may refuse pixels
        that another asked for: so those that lack the model or refuse the pixels are passed over too. If
        nobody answers, the error that says most is raised.
        """
        refused: Exception | None = None
        missing: Exception | None = None
        down: Exception | None = None
        deadlines = 0
        for server in servers:
            try:
                return server, server.call(request, self._timeout_s)
            except grpc.RpcError as error:
                translated = _translated(error, server.address, request.model_spec)
                translated.__cause__ = error
                if isinstance(translated, ValueError):
                    refused = translated
                elif isinstance(translated, ModelMissingError):
                    missing = translated
                elif error.code() in DOWN:
                    down = translated
                    deadlines += error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                    if deadlines == _MOST_DEADLINES:
                        break
                else:
                    raise translated from error
        raise refused or missing or down or AssertionError("there is at least one server")

    def _remembered(self, response: pb.PredictResponse) -> ModelSpec:
        version = response.model_spec.version.value
        spec = read_spec(response, version)
        with self._lock:
            self._specs[version] = spec
        return spec


def read_spec(response: pb.PredictResponse, version: int) -> ModelSpec:
    """What a version answered to its signature ``spec``.

    Raises:
        IncompatibleModelError: it lacks something, or cannot be read.
    """
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


def _translated(error: grpc.RpcError, address: str, asked: pb.ModelSpec) -> Exception:
    """TensorFlow Serving's status as the port's exception."""
    code, details = error.code(), error.details() or ""
    message = f"{address}: {code.name}: {details}"
    if code is grpc.StatusCode.FAILED_PRECONDITION and details.startswith(_NO_SIGNATURE):
        return IncompatibleModelError(message)
    if details.startswith(_UNKNOWN_LABEL):
        return ModelMissingError(
            f"The model server {address} has no version of model {asked.name!r} labelled "
            f"{asked.version_label!r}: set the label under version_labels in its models.config, or stop "
            f"asking for it. ({code.name}: {details})"
        )
    if code in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}:
        return ModelMissingError(
            f"The model server {address} has no {_what(asked)} ready: it is still loading, or it is not "
            "there. Compare VITRINE_MODEL_NAME with the server's --model_name or models.config, look for "
            "a version folder under the model's base path, and read the server's log. "
            f"({code.name}: {details})"
        )
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return ValueError(message)
    # Whatever else goes wrong there is not the picture's fault.
    return PredictorDownError(message)


def _what(asked: pb.ModelSpec) -> str:
    """The model that was asked for, as people name it."""
    if asked.HasField("version"):
        return f"version {asked.version.value} of model {asked.name!r}"
    if asked.version_label:
        return f"version of model {asked.name!r} labelled {asked.version_label!r}"
    return f"version of model {asked.name!r}"
