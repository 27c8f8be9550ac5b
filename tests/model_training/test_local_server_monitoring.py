"""The stand-in's metrics, in TensorFlow Serving's names and form, and how it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from model_training.serving_protos import prediction_log_pb2, tf
from tests.plugins.model_server import ModelServer
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import SIDE, OfficialClient, TinyServer, white, write_tiny_model

_TIMEOUT_S = 60
_LOADING_S = 120


def page(server: ModelServer) -> requests.Response:
    return requests.get(
        f"http://127.0.0.1:{server.rest_port}/monitoring/prometheus/metrics", timeout=_TIMEOUT_S
    )


def metrics(server: ModelServer) -> dict[str, float]:
    """By name and labels as they are written."""
    lines = [line for line in page(server).text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture(scope="module")
def counted(tiny_server: TinyServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base path of a model of this file's own, with two versions, one of which has a warm-up request."""
    work = tmp_path_factory.mktemp("counted")
    base = work / "counted"
    write_tiny_model(base / "1", 0.1)
    warm = write_tiny_model(work / "elsewhere" / "2", 0.2)
    (warm / "assets.extra").mkdir()
    request = tiny_server.client.request(name="counted", images=white())
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with tf.io.TFRecordWriter(str(warm / "assets.extra/tf_serving_warmup_requests")) as out:
        out.write(log.SerializeToString())
    warm.rename(base / "2")
    tiny_server.serve("counted", base, "all {}")
    return base


def refused(official: OfficialClient, **request: Any) -> None:
    with pytest.raises(grpc.RpcError):
        official.predict(official.request(**request))


def test_requests_are_counted_and_timed_as_tensorflow_serving_does(
    tiny_server: TinyServer, counted: Path
) -> None:
    server, official = tiny_server.server, tiny_server.client
    runs = metrics(server)[":tensorflow:core:graph_runs{}"]
    for _ in range(3):
        official.predict(official.request(name="counted", images=white()))
    refused(official, name="counted", images=white()[:, :2])
    refused(official, name="counted", version=9, images=white())
    refused(official, name="nobody's", images=white())
    rest = f"http://127.0.0.1:{server.rest_port}/v1/models/counted:predict"
    picture = [[[255] * 3] * SIDE] * SIDE
    assert requests.post(rest, json={"inputs": [picture]}, timeout=_TIMEOUT_S).ok
    assert requests.post(rest, json={"inputs": 1}, timeout=_TIMEOUT_S).status_code == 400
    assert requests.get(rest.removesuffix(":predict"), timeout=_TIMEOUT_S).ok

    now = metrics(server)
    count, latency, runtime = (
        f":tensorflow:serving:{name}" for name in ("request_count", "request_latency", "runtime_latency")
    )
    assert {
        name: value for name, value in now.items() if name.startswith(f'{count}{{model_name="counted"')
    } == {
        f'{count}{{model_name="counted",status="OK"}}': 4,
        f'{count}{{model_name="counted",status="INVALID_ARGUMENT"}}': 2,
        f'{count}{{model_name="counted",status="NOT_FOUND"}}': 1,
    }
    assert not any("nobody" in name for name in now), "a caller makes series of its own"
    grpc_labels = 'model_name="counted",API="Predict",entrypoint="GRPC"'
    rest_labels = 'model_name="counted",API="predict",entrypoint="REST"'
    assert now[f"{latency}_count{{{grpc_labels}}}"] == 3
    assert now[f"{latency}_count{{{rest_labels}}}"] == 1
    ran = now[f'{runtime}_sum{{model_name="counted",API="Predict",runtime="TF1"}}']
    assert now[f'{runtime}_count{{model_name="counted",API="Predict",runtime="TF1"}}'] == 4
    asked = sum(now[f"{latency}_sum{{{labels}}}"] for labels in (grpc_labels, rest_labels))
    assert 10 < ran < asked < _TIMEOUT_S * 1e6, "microseconds"
    # The bounds as TensorFlow Serving writes them.
    assert now[f'{latency}_bucket{{{grpc_labels},le="1.47476e+09"}}'] == 3
    assert now[f'{latency}_bucket{{{grpc_labels},le="+Inf"}}'] == 3
    assert now[f'{latency}_bucket{{{grpc_labels},le="10"}}'] == 0
    assert (
        now[f'{latency}_bucket{{{grpc_labels},le="104.976"}}']
        <= now[f'{latency}_bucket{{{grpc_labels},le="188.957"}}']
    )
    assert now[":tensorflow:core:graph_runs{}"] >= runs + 4


def test_loads_and_warm_ups_are_told_by_the_folder_of_the_version(
    tiny_server: TinyServer, counted: Path
) -> None:
    (counted / "3").mkdir()
    (counted / "3" / "saved_model.pb").write_bytes(b"not a model")
    wait_for(
        lambda: tiny_server.client.states("counted").get(3) == "END", _LOADING_S, "version 3 to be tried"
    )

    now = metrics(tiny_server.server)
    attempts, warm = (
        ":tensorflow:cc:saved_model:load_attempt_count",
        ":tensorflow:serving:model_warmup_latency",
    )
    assert now[f'{attempts}{{model_path="{counted}/1",status="success"}}'] == 1
    assert now[f'{attempts}{{model_path="{counted}/3",status="fail"}}'] >= 1
    assert now[f':tensorflow:cc:saved_model:load_latency{{model_path="{counted}/1"}}'] > 1000
    assert now[f'{warm}_count{{model_path="{counted}/2",status="OK"}}'] == 1
    assert f'{warm}_count{{model_path="{counted}/1",status="OK"}}' not in now


def test_prometheus_can_read_the_page_and_it_says_who_tells(tiny_server: TinyServer, counted: Path) -> None:
    answer = page(tiny_server.server)

    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text.startswith("# A stand-in for TensorFlow Serving")
    types = {family.name: family.type for family in text_string_to_metric_families(answer.text)}
    assert types[":tensorflow:serving:request_count"] == "counter"
    assert types[":tensorflow:serving:request_latency"] == "histogram"


def test_the_server_says_how_it_is_on_a_port_of_its_own(tiny_server: TinyServer) -> None:
    address = f"http://127.0.0.1:{tiny_server.server.health_port}"

    assert requests.get(f"{address}/healthz", timeout=_TIMEOUT_S).json() == {"status": "ok"}
    assert requests.get(f"{address}/readyz", timeout=_TIMEOUT_S).json()["ready"] is True
    assert "\nvitrine_ready 1.0\n" in requests.get(f"{address}/metrics", timeout=_TIMEOUT_S).text
