"""The stand-in's REST side: TensorFlow Serving's addresses, bodies and errors."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
import requests

from model_training.local_server import rest_json
from model_training.local_server.errors import ServingError
from model_training.serving_protos import predict_pb2, tf
from tests.plugins.model_server import ModelServer
from tests.plugins.tiny_models import SIDE, TinyServer

_TIMEOUT_S = 60


@pytest.fixture
def server(tiny_server: TinyServer) -> ModelServer:
    return tiny_server.server


def _picture(value: int = 255) -> list[Any]:
    return np.full((SIDE, SIDE, 3), value).tolist()


def _predict(server: ModelServer, body: Any, *, at: str = "") -> requests.Response:
    return requests.post(f"{server.rest}{at}:predict", json=body, timeout=_TIMEOUT_S)


def test_status_of_a_model_a_version_and_a_label(server: ModelServer) -> None:
    assert requests.get(server.rest, timeout=_TIMEOUT_S).json()["model_version_status"][0] == {
        "version": "2",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    for at, version in (("/versions/1", "1"), ("/labels/stable", "1")):
        (entry,) = requests.get(server.rest + at, timeout=_TIMEOUT_S).json()["model_version_status"]
        assert entry["version"] == version


def test_metadata_names_the_signatures(server: ModelServer) -> None:
    body = requests.get(f"{server.rest}/metadata", timeout=_TIMEOUT_S).json()
    assert body["model_spec"] == {"name": "tagger", "signature_name": "", "version": "2"}
    signatures = body["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["images"]["dtype"] == "DT_UINT8"
    assert set(signatures) == {"serving_default", "spec"}


def test_predict_by_rows(server: ModelServer) -> None:
    expected = [
        {"scores": [0.2, 1.0], "embedding": [0.6, 0.8]},
        {"scores": [0.2, 0.0], "embedding": [0.6, 0.8]},
    ]
    plain = _predict(server, {"instances": [_picture(), _picture(0)]})
    assert plain.status_code == HTTPStatus.OK
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.json() == {"predictions": expected}
    named = _predict(server, {"instances": [{"images": _picture()}, {"images": _picture(0)}]})
    assert named.json() == plain.json()


def test_predict_by_columns(server: ModelServer) -> None:
    expected = {"outputs": {"scores": [[0.2, 1.0]], "embedding": [[0.6, 0.8]]}}
    assert _predict(server, {"inputs": [_picture()]}).json() == expected
    body = {"signature_name": "serving_default", "inputs": {"images": [_picture()]}}
    assert _predict(server, body).json() == expected


def test_predict_of_a_version_and_a_label(server: ModelServer) -> None:
    for at in ("/versions/1", "/labels/stable"):
        answer = _predict(server, {"inputs": [_picture()]}, at=at).json()
        assert answer["outputs"]["scores"][0][0] == 0.1


@pytest.mark.parametrize(
    ("at", "body", "status", "words"),
    [
        ("", {"instances": []}, 400, "No values in 'instances' array"),
        ("", {"instances": 3}, 400, "to be an list/array"),
        ("", {"instances": [_picture()], "inputs": [_picture()]}, 400, "expecting only one of"),
        ("", {"other": 1}, 400, "Missing 'inputs' or 'instances' key"),
        ("", [1], 400, "Is not object"),
        ("", {"signature_name": 7, "inputs": [1]}, 400, "'signature_name' key must be a string value."),
        ("", {"signature_name": "x", "inputs": [1]}, 400, 'Serving signature name: "x" not found'),
        ("", {"signature_name": "spec", "inputs": [1]}, 400, "Failed to get input map for signature: spec"),
        ("", {"inputs": {"pictures": [1]}}, 400, "Missing named input: images in 'inputs' object."),
        ("", {"instances": [{"pictures": 1}]}, 400, "keys must be equal to: images"),
        ("", {"instances": [{"images": 1}, [1]]}, 400, "Expecting object but got list at item 1"),
        ("", {"instances": [[1], {"images": 1}]}, 400, "Expecting value/list but got object at item 1"),
        ("", {"inputs": [[[1, 2], [3]]]}, 400, "unexpected size"),
        ("", {"inputs": [["a"]]}, 400, "not of expected type: uint8"),
        ("", {"inputs": [[0.5]]}, 400, "not of expected type: uint8"),
        ("", {"inputs": [[256]]}, 400, "not of expected type: uint8"),
        ("", {"inputs": [[1, 2, 3]]}, 400, "shape"),
        ("/versions/9", {"inputs": [1]}, 404, "Servable not found for request: Specific(tagger, 9)"),
        ("/labels/gone", {"inputs": [1]}, 400, "Unrecognized servable version label: gone"),
        (f"/versions/{2**64}", {"inputs": [1]}, 400, "to numeric"),
    ],
)
def test_a_wrong_request_gets_tensorflow_servings_error(
    server: ModelServer, at: str, body: Any, status: int, words: str
) -> None:
    answer = _predict(server, body, at=at)
    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/models/other", 404, "Could not find any versions of model other"),
        ("GET", "/v1/models/tagger/versions/9", 404, "Could not find version 9 of model tagger"),
        (
            "GET",
            "/v1/models/tagger/versions/one",
            400,
            "Malformed request: GET /v1/models/tagger/versions/one",
        ),
        ("POST", "/v1/models/tagger", 400, "Malformed request: POST /v1/models/tagger"),
        ("POST", "/v1/models/tagger:classify", 400, "classify is not supported"),
    ],
)
def test_a_wrong_address_gets_tensorflow_servings_error(
    server: ModelServer, method: str, path: str, status: int, words: str
) -> None:
    url = f"http://127.0.0.1:{server.rest_port}{path}"
    answer = requests.request(method, url, timeout=_TIMEOUT_S)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_other_paths_are_not_there(server: ModelServer) -> None:
    answer = requests.get(f"http://127.0.0.1:{server.rest_port}/metrics", timeout=_TIMEOUT_S)
    assert answer.status_code == HTTPStatus.NOT_FOUND


def test_a_query_after_the_address_is_ignored(server: ModelServer) -> None:
    assert requests.get(f"{server.rest}?verbose=1", timeout=_TIMEOUT_S).status_code == HTTPStatus.OK


def test_a_body_of_unknown_length_is_refused(server: ModelServer) -> None:
    answer = requests.post(f"{server.rest}:predict", data=iter([b"{", b"}"]), timeout=_TIMEOUT_S)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "Content-Length" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(server: ModelServer, body: bytes) -> None:
    answer = requests.post(f"{server.rest}:predict", data=body, timeout=_TIMEOUT_S)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "JSON Parse error" in answer.json()["error"]


def test_strings_travel_as_text_or_base64() -> None:
    response = predict_pb2.PredictResponse()
    response.outputs["names"].CopyFrom(tf.make_tensor_proto([b"a", b"b"]))
    response.outputs["raw_bytes"].CopyFrom(tf.make_tensor_proto([b"\xff", b"b"]))
    assert json.loads(rest_json.prediction(response, by_row=False)) == {
        "outputs": {"names": ["a", "b"], "raw_bytes": [{"b64": "/w=="}, {"b64": "Yg=="}]}
    }


def test_outputs_without_a_common_batch_cannot_be_rows() -> None:
    response = predict_pb2.PredictResponse()
    response.outputs["one"].CopyFrom(tf.make_tensor_proto([1.0]))
    response.outputs["two"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    with pytest.raises(ServingError, match="batch dimension"):
        rest_json.prediction(response, by_row=True)
