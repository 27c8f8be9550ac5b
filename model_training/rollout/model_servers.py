"""All model servers behind some addresses, each asked for itself: gRPC would choose one of them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc

from model_training.golden import Golden, GoldenError, check
from model_training.rollout import model_status_pb2 as status_pb
from model_training.rollout.state import Loading
from pipeline.ports import IncompatibleModelError, ModelSpec
from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.client import read_spec
from pipeline.tfserving.tensors import TensorError, to_array, to_tensor

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A server that comes back is found within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
_ASK_WITHIN_S = 10.0
_PREDICT_WITHIN_S = 120.0
# TensorFlow Serving reads models.config every 30 s in docs/serving.md, and tells of a failure until then.
_OLD_FAILURE_S = 120.0
_State = status_pb.ModelVersionStatus


class ServersDownError(Exception):
    """A model server does not answer, or its name means nothing now; nothing is known of any version."""


class _Server:
    """One server. Its methods raise ``grpc.RpcError``."""

    def __init__(self, address: str, host: str, ca: bytes | None) -> None:
        self.address = address
        if ca is None:
            self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        else:
            # Its certificate is for the name and not for the address that the name has today.
            named = (*_OPTIONS, ("grpc.ssl_target_name_override", host))
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(ca), options=named)
        self._predict: Any = self._channel.unary_unary(
            _PREDICT,
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        self._status: Any = self._channel.unary_unary(
            _STATUS,
            request_serializer=status_pb.GetModelStatusRequest.SerializeToString,
            response_deserializer=status_pb.GetModelStatusResponse.FromString,
        )

    def close(self) -> None:
        self._channel.close()

    def predict(self, request: pb.PredictRequest, within_s: float) -> pb.PredictResponse:
        response: pb.PredictResponse = self._predict(request, timeout=within_s)
        return response

    def status(self, asked: pb.ModelSpec) -> status_pb.ModelVersionStatus:
        request = status_pb.GetModelStatusRequest(model_spec=asked)
        response: status_pb.GetModelStatusResponse = self._status(request, timeout=_ASK_WITHIN_S)
        return response.model_version_status[0]


class ModelServers:
    """Every server of a model.

    Args:
        addresses: ``host:port``, several separated by commas. A name with several addresses, such as that of
            a headless service, means all of them, looked up again for each question.
        model: As the servers know it.
        ca_file: PEM certificates to trust; None: connections are not encrypted.

    Raises:
        ValueError: no address, or one without a port.
        OSError: the certificates cannot be read.
    """

    def __init__(self, addresses: str, model: str, *, ca_file: Path | None = None) -> None:
        self._names = [_split(each.strip()) for each in addresses.split(",") if each.strip()]
        if not self._names:
            raise ValueError("at least one address of a model server is needed")
        self._model = model
        self._ca = ca_file.read_bytes() if ca_file else None
        self._known: dict[str, _Server] = {}
        self._old_failures: dict[tuple[str, int], float] = {}

    def close(self) -> None:
        """Drop the connections."""
        for server in self._known.values():
            server.close()

    # ------------------------------------------------------------ versions

    def expect(self, number: int) -> None:
        """From now on a version is to be loaded: a failure that is told of it already is an old one.

        Raises:
            ServersDownError
        """
        for server in self._servers():
            if _failure(self._status(server, number)):
                self._old_failures[server.address, number] = time.monotonic()

    def loading(self, number: int) -> Loading:
        """How far a version is on all servers together; one that cannot be reached is waited for."""
        waiting = ""
        try:
            for server in self._servers():
                status = self._status(server, number)
                if failure := self._new_failure(server, number, status):
                    return Loading(failed=f"{server.address}: {failure}")
                if status is None or status.state != _State.AVAILABLE:
                    state = "not known" if status is None else _State.State.Name(status.state)
                    waiting = f"version {number} on {server.address}: {state}"
        except ServersDownError as error:
            waiting = str(error)
        return Loading(available=not waiting, text=waiting)

    def _new_failure(self, server: _Server, number: int, status: status_pb.ModelVersionStatus | None) -> str:
        failure = _failure(status)
        since = self._old_failures.get((server.address, number))
        if not failure:
            self._old_failures.pop((server.address, number), None)
        elif since is not None and time.monotonic() - since < _OLD_FAILURE_S:
            return ""
        return failure

    def _status(self, server: _Server, number: int) -> status_pb.ModelVersionStatus | None:
        try:
            return server.status(self._spec(number))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise _down(server, error) from error

    # ------------------------------------------------------------ answers

    def spec(self, number: int) -> ModelSpec:
        """What a version says of itself, by the first server that has it.

        Raises:
            ServersDownError: none of them answers.
            IncompatibleModelError: it says nothing that can be read.
        """
        request = pb.PredictRequest(model_spec=self._spec(number))
        request.model_spec.signature_name = "spec"
        last: ServersDownError | None = None
        for server in self._servers():
            try:
                return read_spec(server.predict(request, _ASK_WITHIN_S), number)
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    raise IncompatibleModelError(f"version {number} has no signature `spec`") from error
                last = _down(server, error)
        raise last or AssertionError("there is at least one server")

    def check(self, number: int, golden: Golden) -> None:
        """Send the golden request of a version to every server.

        Raises:
            GoldenError: one of them answers otherwise, or refuses it.
            ServersDownError: one of them does not answer.
        """
        request = pb.PredictRequest(model_spec=self._spec(number))
        request.inputs["images"].CopyFrom(to_tensor(golden.images))
        for server in self._servers():
            try:
                outputs = server.predict(request, _PREDICT_WITHIN_S).outputs
                check(to_array(outputs["scores"]), to_array(outputs["embedding"]), golden)
            except grpc.RpcError as error:
                if error.code() in _DOWN:
                    raise _down(server, error) from error
                said = f"{server.address} refuses the golden request: {error.details()}"
                raise GoldenError(said) from error
            except (TensorError, GoldenError) as error:
                raise GoldenError(f"{server.address}: {error}") from error

    def are_in_force(self, labels: dict[str, int]) -> bool:
        """Whether each label is answered by its version.

        One that cannot be reached answers nobody else either, and reads ``models.config`` when it is back;
        but at least one has to say yes.
        """
        said = False
        try:
            for server in self._servers():
                try:
                    if any(self._labelled(server, label) != number for label, number in labels.items()):
                        return False
                    said = True
                except ServersDownError:
                    continue
        except ServersDownError:
            return False
        return said

    def _labelled(self, server: _Server, label: str) -> int | None:
        request = pb.PredictRequest()
        request.model_spec.name, request.model_spec.version_label = self._model, label
        request.model_spec.signature_name = "spec"
        try:
            return server.predict(request, _ASK_WITHIN_S).model_spec.version.value
        except grpc.RpcError as error:
            if error.code() in _DOWN:
                raise _down(server, error) from error
            return None

    # ------------------------------------------------------------ who they are

    def _spec(self, number: int) -> pb.ModelSpec:
        return pb.ModelSpec(name=self._model, version=pb.Version(value=number))

    def _servers(self) -> Iterator[_Server]:
        """Those that the names mean now; connections to others are dropped."""
        found = dict(_each(self._names))
        for address in self._known.keys() - found.keys():
            self._known.pop(address).close()
        for address, host in found.items():
            if address not in self._known:
                self._known[address] = _Server(address, host, self._ca)
        yield from [self._known[address] for address in found]


_DOWN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is no host:port")
    return host.strip("[]"), int(port)


def _each(names: list[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    """Address and name of every server."""
    lookup: Callable[..., Any] = socket.getaddrinfo
    for host, port in names:
        try:
            found = lookup(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ServersDownError(f"{host}: {error.strerror or error}") from error
        # A host with addresses of both kinds is one server, and not every one listens on both.
        families = {family for family, *_ in found}
        family = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
        for ip in sorted({entry[4][0] for entry in found if entry[0] == family}):
            yield (f"[{ip}]:{port}" if family == socket.AF_INET6 else f"{ip}:{port}"), host


def _failure(status: status_pb.ModelVersionStatus | None) -> str:
    """Why a version cannot be loaded; one that was unloaded in good order has ended too."""
    if status is None or status.state != _State.END or not status.status.error_code:
        return ""
    return status.status.error_message or f"error {status.status.error_code}"


def _down(server: _Server, error: grpc.RpcError) -> ServersDownError:
    return ServersDownError(f"model server {server.address}: {error.code().name}: {error.details()}")
