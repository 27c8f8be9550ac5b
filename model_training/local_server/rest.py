"""TensorFlow Serving's REST API: status, metadata and predict under ``/v1/models/``, and its metrics."""

from __future__ import annotations

import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import structlog

from model_training.local_server import api, monitoring, rest_json
from model_training.local_server.errors import PortTakenError, ServingError, invalid
from model_training.local_server.versions import Versions
from model_training.serving_protos import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

log = structlog.get_logger(__name__)

_TARGET = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_TARGET + r":(?P<method>classify|regress|predict)", re.IGNORECASE)
_STATUS = re.compile(_TARGET + r"(?P<metadata>/metadata)?", re.IGNORECASE)
_KEEP_ALIVE_S = 30
_INT64_MAX = 2**63 - 1


class RestServer:
    """Answers in one thread per connection until it is closed."""

    def __init__(self, versions: Versions, host: str, port: int) -> None:
        """Start answering.

        Raises:
            PortTakenError: the port is in use.
        """
        handler = type("Handler", (_Handler,), {"versions": versions, "busy": _Busy()})
        self._busy: _Busy = handler.busy  # type: ignore[attr-defined]
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise PortTakenError(f"REST cannot listen on {host}:{port}: {error.strerror}") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="rest", args=(0.1,))
        self._thread.start()

    def close(self, grace_s: float) -> None:
        """Take no new connection, answer the requests that are under way."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._busy.wait_idle(grace_s)


class _Server(ThreadingHTTPServer):
    # Idle keep-alive connections must not hold up the end; requests under way are counted instead.
    daemon_threads = True
    block_on_close = False
    # Somebody who is still in TIME_WAIT is no reason to refuse the port; a listener still is.
    allow_reuse_address = True


class _Busy:
    """Counts the requests under way."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_idle(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, timeout)


class _Handler(BaseHTTPRequestHandler):
    versions: Versions
    busy: _Busy
    protocol_version = "HTTP/1.1"
    timeout = _KEEP_ALIVE_S

    def do_GET(self) -> None:
        with self.busy:
            self._answer(self._get)

    def do_POST(self) -> None:
        with self.busy:
            self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        log.debug("rest", line=format % args)

    def _answer(self, method: Any) -> None:
        try:
            path = self.path.partition("?")[0]
            body = self._body()
            if path.lower().startswith("/v1/"):
                self._send(HTTPStatus.OK, method(path, body))
            elif path == monitoring.PATH and self.command == "GET":
                self._send(HTTPStatus.OK, monitoring.page(), kind="text/plain")
            else:
                self._send(HTTPStatus.NOT_FOUND, "")
        except ServingError as error:
            self._send(error.http_status, rest_json.error(error.message))

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # where the next request begins is unknown
            raise invalid("The length of the body must be given by Content-Length")
        return self.rfile.read(int(length))

    def _send(self, status: HTTPStatus, text: str, *, kind: str = "application/json") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _malformed(self) -> ServingError:
        return invalid(f"Malformed request: {self.command} {self.path}")

    def _get(self, path: str, _body: bytes) -> str:
        match = _STATUS.fullmatch(path)
        if match is None:
            raise self._malformed()
        if match["metadata"]:
            asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
            _fill_spec(asked.model_spec, match)
            metadata = get_model_metadata_pb2.GetModelMetadataResponse()
            api.metadata(self.versions, asked, metadata)
            return rest_json.metadata(metadata)
        request = get_model_status_pb2.GetModelStatusRequest()
        _fill_spec(request.model_spec, match)
        status = get_model_status_pb2.GetModelStatusResponse()
        api.status(self.versions, request, status)
        return rest_json.message(status)

    def _post(self, path: str, body: bytes) -> str:
        match = _PREDICT.fullmatch(path)
        if match is None:
            raise self._malformed()
        if match["method"].lower() != "predict":
            raise invalid(f"{match['method']} is not supported: this server answers predict only")
        with monitoring.prediction(self.versions.known_name(unquote(match["name"])), "predict", "REST"):
            return self._predict(match, body)

    def _predict(self, match: re.Match[str], body: bytes) -> str:
        request = predict_pb2.PredictRequest()
        _fill_spec(request.model_spec, match)
        document = rest_json.parse(body)
        request.model_spec.signature_name = rest_json.signature_name(document)
        with self.versions.use(request.model_spec) as (number, servable):
            # What is parsed by the signature of one version must be answered by the same one.
            request.model_spec.version.value = number
            name = request.model_spec.signature_name or "serving_default"
            if name not in servable.signatures:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            by_row = rest_json.fill_request(document, servable.signatures[name], request)
            response = predict_pb2.PredictResponse()
            servable.predict(request, response)
        return rest_json.prediction(response, by_row=by_row)


def _fill_spec(spec: Any, match: re.Match[str]) -> None:
    spec.name = unquote(match["name"])
    if match["version"]:
        version = int(match["version"])
        if version > _INT64_MAX:
            raise invalid(f"Failed to convert version: {match['version']} to numeric.")
        spec.version.value = version
    elif match["label"]:
        spec.version_label = unquote(match["label"])
