"""The stand-in for TensorFlow Serving, asked by the official client over gRPC."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from model_training.local_server.config import ConfigError, read_models_config
from model_training.serving_protos import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_log_pb2,
    tf,
)
from tests.plugins.model_server import serving
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import (
    OfficialClient,
    TinyServer,
    model_config,
    white,
    write_tiny_model,
)

LOADING_S = 120


@pytest.fixture
def official(tiny_server: TinyServer) -> OfficialClient:
    return tiny_server.client


def _refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


# ------------------------------------------------------------------ predict


def test_the_newest_version_answers_and_says_so(official: OfficialClient) -> None:
    response = official.predict(official.request(images=white(3)))
    assert response.model_spec.name == "tagger"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"
    scores = response.outputs["scores"]
    assert [dim.size for dim in scores.tensor_shape.dim] == [3, 2]
    assert list(scores.float_val) == pytest.approx([0.2, 1] * 3)
    assert not scores.tensor_content  # as TensorFlow Serving answers by default


def test_a_version_is_asked_for_by_number_or_label(official: OfficialClient) -> None:
    assert official.answered(version=1) == (1, 0.1)
    assert official.answered(label="stable") == (1, 0.1)
    assert official.answered(label="canary") == (2, 0.2)


def test_the_output_filter_is_honoured(official: OfficialClient) -> None:
    request = official.request(images=white())
    request.output_filter.append("embedding")
    assert set(official.predict(request).outputs) == {"embedding"}


def test_the_spec_signature_needs_no_input(official: OfficialClient) -> None:
    response = official.predict(official.request(signature="spec"))
    assert list(response.outputs["labels"].string_val) == [b"first", b"second"]
    assert response.model_spec.signature_name == "spec"


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"name": "other"}, "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ({"version": 9}, "NOT_FOUND", "Servable not found for request: Specific(tagger, 9)"),
        ({"label": "gone"}, "INVALID_ARGUMENT", "Unrecognized servable version label: gone"),
        ({"name": ""}, "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        ({"signature": "other"}, "FAILED_PRECONDITION", 'Serving signature key "other" not found.'),
        ({"images": None}, "INVALID_ARGUMENT", "Missing but required: {images}"),
        ({"images": white().astype(np.float32)}, "INVALID_ARGUMENT", "to be uint8 but float32 is provided"),
        ({"images": white()[:, :2]}, "INVALID_ARGUMENT", "shape [1, 2, 4, 3]"),
        ({"images": white()[0]}, "INVALID_ARGUMENT", "shape [4, 4, 3]"),
    ],
)
def test_a_wrong_request_gets_tensorflow_servings_status(
    official: OfficialClient, spec: dict[str, Any], code: str, words: str
) -> None:
    request = official.request(**{"images": white(), **spec})
    found, details = _refused(lambda: official.predict(request))
    assert found.name == code
    assert words in details


def test_wrong_names_of_inputs_and_outputs_are_refused(official: OfficialClient) -> None:
    request = official.request()
    request.inputs["pictures"].CopyFrom(official.request(images=white()).inputs["images"])
    code, details = _refused(lambda: official.predict(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "input tensor alias not found in signature: pictures" in details

    request = official.request(images=white())
    request.output_filter.append("nothing")
    code, details = _refused(lambda: official.predict(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "output tensor alias not found in signature: nothing" in details
    request.output_filter[:] = ["scores", "scores"]
    assert "duplicate output tensor alias: scores" in _refused(lambda: official.predict(request))[1]


def test_bytes_that_do_not_fill_the_shape_are_refused(official: OfficialClient) -> None:
    request = official.request(images=white())
    request.inputs["images"].tensor_content = b"\0" * 7
    code, details = _refused(lambda: official.predict(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "tensor parsing error: images" in details


def test_a_request_without_a_model_is_refused(official: OfficialClient) -> None:
    code, details = _refused(lambda: official.predict(predict_pb2.PredictRequest()))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def test_a_batch_larger_than_grpcs_default_limit_is_answered(official: OfficialClient) -> None:
    response = official.predict(official.request(images=white(120_000)))  # 5.8 MB
    assert response.outputs["scores"].tensor_shape.dim[0].size == 120_000


# ------------------------------------------------------- status and metadata


def test_status_lists_every_version(official: OfficialClient) -> None:
    assert official.states() == {2: "AVAILABLE", 1: "AVAILABLE"}
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "other"
    code, details = _refused(lambda: official.model.GetModelStatus(request, timeout=60))
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Could not find any versions of model other")


def test_metadata_gives_the_signatures(official: OfficialClient) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tagger"
    response = official.prediction.GetModelMetadata(request, timeout=60)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {"serving_default", "spec"}
    assert set(signatures.signature_def["serving_default"].outputs) == {"scores", "embedding"}
    assert response.model_spec.version.value == 2

    request.metadata_field[:] = ["weather"]
    code, details = _refused(lambda: official.prediction.GetModelMetadata(request, timeout=60))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "weather" in details


def test_methods_that_the_stand_in_lacks_are_unimplemented(official: OfficialClient) -> None:
    request = classification_pb2.ClassificationRequest()
    code, _ = _refused(lambda: official.prediction.Classify(request, timeout=60))
    assert code is grpc.StatusCode.UNIMPLEMENTED


# ------------------------------------------------------------ versions on disk


def test_a_new_version_is_swapped_in_without_a_lost_request(tiny_server: TinyServer, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "1", 0.1, work=20)
    tiny_server.serve("swap", tmp_path)
    official = tiny_server.client
    answers: list[tuple[int, float]] = []
    failures: list[grpc.RpcError] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.append(official.answered(name="swap"))
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(answers) > 20, LOADING_S, "answers of version 1")
        write_tiny_model(tmp_path / "2", 0.2, work=20)
        wait_for(lambda: official.states("swap").get(1) == "END", LOADING_S, "version 1 to be unloaded")
        seen = len(answers)
        wait_for(lambda: len(answers) > seen + 20, LOADING_S, "answers of version 2")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert set(answers) == {(1, 0.1), (2, 0.2)}
    assert official.states("swap") == {2: "AVAILABLE", 1: "END"}


def test_a_version_that_does_not_load_leaves_the_old_one_serving(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    write_tiny_model(tmp_path / "1", 0.1)
    tiny_server.serve("broken", tmp_path)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"not a model")
    (tmp_path / "latest").mkdir()  # no number
    (tmp_path / "3").mkdir()  # not complete
    wait_for(lambda: official.states("broken").get(2) == "END", LOADING_S, "version 2 to be tried")
    assert official.states("broken") == {2: "END", 1: "AVAILABLE"}
    assert official.answered(name="broken") == (1, 0.1)

    shutil.rmtree(tmp_path / "2")
    write_tiny_model(tmp_path / "2", 0.2)
    wait_for(lambda: official.states("broken").get(2) == "AVAILABLE", LOADING_S, "the repaired version 2")
    assert official.answered(name="broken") == (2, 0.2)


def test_a_version_whose_warm_up_fails_is_not_served(tiny_server: TinyServer, tmp_path: Path) -> None:
    official = tiny_server.client
    write_tiny_model(tmp_path / "models" / "1", 0.1)
    tiny_server.serve("warm-up", tmp_path / "models")

    bad = write_tiny_model(tmp_path / "elsewhere" / "2", 0.2)
    (bad / "assets.extra").mkdir()
    request = official.request(signature="no such signature")
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with tf.io.TFRecordWriter(str(bad / "assets.extra/tf_serving_warmup_requests")) as out:
        out.write(log.SerializeToString())
    bad.rename(tmp_path / "models" / "2")
    wait_for(lambda: official.states("warm-up").get(2) == "END", LOADING_S, "version 2 to be tried")
    assert official.answered(name="warm-up") == (1, 0.1)


def test_a_version_with_a_damaged_warm_up_file_is_not_served(tiny_server: TinyServer, tmp_path: Path) -> None:
    official = tiny_server.client
    bad = write_tiny_model(tmp_path / "elsewhere" / "1", 0.1)
    (bad / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(bad / "assets.extra/tf_serving_warmup_requests")) as out:
        out.write(b"no message")
    (tmp_path / "models").mkdir()
    bad.rename(tmp_path / "models" / "1")
    tiny_server.serve("damaged", tmp_path / "models")
    assert official.states("damaged") == {1: "END"}
    write_tiny_model(tmp_path / "models" / "2", 0.2)
    wait_for(lambda: official.states("damaged").get(2) == "AVAILABLE", LOADING_S, "the good version 2")


def test_a_model_without_versions_is_not_found_until_one_appears(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    tiny_server.serve("later", tmp_path)
    code, details = _refused(lambda: official.answered(name="later"))
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(later)")
    write_tiny_model(tmp_path / "1", 0.1)
    wait_for(lambda: "AVAILABLE" in official.states("later").values(), LOADING_S, "version 1")
    assert official.answered(name="later") == (1, 0.1)


def test_a_folder_that_is_emptied_goes_on_being_served(tiny_server: TinyServer, tmp_path: Path) -> None:
    official = tiny_server.client
    write_tiny_model(tmp_path / "models" / "1", 0.1)
    tiny_server.serve("emptied", tmp_path / "models")
    shutil.rmtree(tmp_path / "models")
    tiny_server.serve("emptied", tmp_path / "models")  # returns after the next look at the folder
    assert official.answered(name="emptied") == (1, 0.1)


def test_a_configuration_that_is_sent_is_loaded_when_the_call_returns(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    for version in (1, 2, 3):
        write_tiny_model(tmp_path / str(version), version / 10)
    tiny_server.serve("sent", tmp_path, "specific { versions: 1 }", champion=1)
    assert official.answered(name="sent", label="champion") == (1, 0.1)
    tiny_server.serve("sent", tmp_path, "latest { num_versions: 2 }", champion=2, challenger=3)
    assert official.answered(name="sent", label="champion") == (2, 0.2)
    assert official.answered(name="sent", label="challenger") == (3, 0.3)
    assert official.answered(name="sent") == (3, 0.3)
    assert official.states("sent") == {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"}
    tiny_server.remove("sent")
    code, _ = _refused(lambda: official.answered(name="sent"))
    assert code is grpc.StatusCode.NOT_FOUND


def test_labels_follow_the_models_config_file(tmp_path: Path) -> None:
    for version in (1, 2):
        write_tiny_model(tmp_path / "models" / str(version), version / 10)
    config = tmp_path / "models.config"

    def write(**labels: int) -> None:
        config.write_text(
            f"model_config_list {{ {model_config('tagger', tmp_path / 'models', 'all {}', **labels)} }}"
        )

    write(champion=1)
    with (
        serving(tmp_path, tmp_path, "--models-config", str(config)) as server,
        OfficialClient(server.address) as official,
    ):
        wait_for(lambda: official.states().get(2) == "AVAILABLE", LOADING_S, "both versions")
        assert official.answered(label="champion") == (1, 0.1)
        config.write_text("model_config_list { this is not a config")
        write(champion=2)
        wait_for(lambda: official.answered(label="champion") == (2, 0.2), LOADING_S, "the moved label")


@pytest.mark.parametrize("content", ["", "  \n", "model_config_list { this is not a config"])
def test_a_config_file_that_is_just_being_written_is_refused(tmp_path: Path, content: str) -> None:
    config = tmp_path / "models.config"
    config.write_text(content)
    with pytest.raises(ConfigError):
        read_models_config(config)


# ------------------------------------------------------------------ life


def test_a_stopped_server_answers_what_it_has_begun(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "models" / "1", 0.1, work=600)
    with serving(tmp_path / "models", tmp_path) as server, OfficialClient(server.address) as official:
        future = official.prediction.Predict.future(official.request(images=white()), timeout=LOADING_S)
        wait_for(lambda: _busy(server.process.pid), LOADING_S, "the request to be worked on")
        assert not future.done()
        server.process.send_signal(signal.SIGTERM)
        assert future.result().model_spec.version.value == 1
        assert server.process.wait(LOADING_S) == 0
    assert not (tmp_path / "ready.json").exists()


def _busy(pid: int) -> bool:
    """Whether the process has used a fifth of a second of CPU since it was first asked about."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    used = int(fields[11]) + int(fields[12])
    first = _used.setdefault(pid, used)
    return used - first >= 20


_used: dict[int, int] = {}


@pytest.mark.parametrize("which", ["grpc", "rest"])
def test_a_taken_port_is_named(tmp_path: Path, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "model_training", "serve", "--base-path", str(tmp_path)]
        command += ["--grpc-port", "0", "--rest-port", "0", f"--{which}-port", str(port)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


def test_a_models_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text("model_config_list { config { nme: 1 } }")
    command = [sys.executable, "-m", "model_training", "serve", "--models-config", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 1
    assert f"error: {config}: " in result.stderr
