"""The stand-in for TensorFlow Serving, asked by the official client over gRPC."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from model_training.tensorflow_runtime import load_tensorflow
from tests.plugins.model_server import ModelServer
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import SIDE, write_tiny_model

LOADING_S = 120


class OfficialClient:
    """The stubs of the package ``tensorflow-serving-api``."""

    def __init__(self, address: str) -> None:
        tf = load_tensorflow()
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self._tf = tf
        self.channel = grpc.insecure_channel(address)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def request(self, *, name: str = "tagger", images: Any = None, **spec: Any) -> Any:
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = spec.pop("signature", "")
        if "version" in spec:
            request.model_spec.version.value = spec.pop("version")
        if "label" in spec:
            request.model_spec.version_label = spec.pop("label")
        if images is not None:
            request.inputs["images"].CopyFrom(self._tf.make_tensor_proto(images))
        return request

    def predict(self, request: Any) -> Any:
        return self.prediction.Predict(request, timeout=120)

    def answered(self, **spec: Any) -> tuple[int, float]:
        """Which version answers, and its first score."""
        response = self.predict(self.request(images=white(), **spec))
        scores = self._tf.make_ndarray(response.outputs["scores"])
        return response.model_spec.version.value, round(float(scores[0, 0]), 3)

    def states(self, name: str = "tagger") -> dict[int, str]:
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        found = self.model.GetModelStatus(request, timeout=60).model_version_status
        return {s.version: get_model_status_pb2.ModelVersionStatus.State.Name(s.state) for s in found}


def white(count: int = 1) -> Any:
    return np.full((count, SIDE, SIDE, 3), 255, dtype=np.uint8)


@pytest.fixture
def client() -> Iterator[Callable[[ModelServer], OfficialClient]]:
    opened: list[OfficialClient] = []

    def connect(server: ModelServer) -> OfficialClient:
        opened.append(OfficialClient(server.address))
        return opened[-1]

    yield connect
    for one in opened:
        one.channel.close()


@pytest.fixture(scope="module")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """Serves versions 1 and 2 by label, from a ``models.config``."""
    from tests.plugins.model_server import serving

    work = tmp_path_factory.mktemp("tiny")
    for version in (1, 2):
        write_tiny_model(work / "models" / str(version), version / 10)
    config = work / "models.config"
    config.write_text(_config(work / "models", "specific { versions: 1 versions: 2 }", stable=1, canary=2))
    with serving(work / "models", work, "--models-config", str(config)) as server:
        one = OfficialClient(server.address)
        wait_for(lambda: list(one.states().values()) == ["AVAILABLE"] * 2, LOADING_S, "both versions")
        one.channel.close()
        yield server


def _config(base_path: Path, policy: str, **labels: int) -> str:
    lines = "".join(f'version_labels {{ key: "{k}" value: {v} }}\n' for k, v in labels.items())
    return (
        f'model_config_list {{ config {{ name: "tagger" base_path: "{base_path}" model_platform: "tensorflow"\n'
        f"model_version_policy {{ {policy} }}\n{lines} }} }}"
    )


def _refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


# ------------------------------------------------------------------ predict


def test_the_newest_version_answers_and_says_so(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    response = official.predict(official.request(images=white(3)))
    assert response.model_spec.name == "tagger"
    assert response.model_spec.version.value == 2
    assert response.model_spec.signature_name == "serving_default"
    scores = response.outputs["scores"]
    assert [dim.size for dim in scores.tensor_shape.dim] == [3, 2]
    assert list(scores.float_val) == pytest.approx([0.2, 1] * 3)
    assert not scores.tensor_content  # as TensorFlow Serving answers by default


def test_a_version_is_asked_for_by_number_or_label(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    assert official.answered(version=1) == (1, 0.1)
    assert official.answered(label="stable") == (1, 0.1)
    assert official.answered(label="canary") == (2, 0.2)


def test_the_output_filter_is_honoured(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    request = official.request(images=white())
    request.output_filter.append("embedding")
    assert set(official.predict(request).outputs) == {"embedding"}


def test_the_spec_signature_needs_no_input(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
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
    tiny_server: ModelServer,
    client: Callable[[ModelServer], OfficialClient],
    spec: dict[str, Any],
    code: str,
    words: str,
) -> None:
    official = client(tiny_server)
    request = official.request(**{"images": white(), **spec})
    found, details = _refused(lambda: official.predict(request))
    assert found.name == code
    assert words in details


def test_wrong_names_of_inputs_and_outputs_are_refused(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
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


def test_bytes_that_do_not_fill_the_shape_are_refused(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    request = official.request(images=white())
    request.inputs["images"].tensor_content = b"\0" * 7
    code, details = _refused(lambda: official.predict(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "tensor parsing error: images" in details


def test_a_request_without_a_model_is_refused(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    from tensorflow_serving.apis import predict_pb2

    official = client(tiny_server)
    code, details = _refused(lambda: official.predict(predict_pb2.PredictRequest()))
    assert (code, details) == (grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")


def test_a_batch_larger_than_grpcs_default_limit_is_answered(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    response = official.predict(official.request(images=white(120_000)))  # 5.8 MB
    assert response.outputs["scores"].tensor_shape.dim[0].size == 120_000


# ------------------------------------------------------- status and metadata


def test_status_lists_every_version(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    assert official.states() == {2: "AVAILABLE", 1: "AVAILABLE"}
    code, details = _refused(lambda: official.states("other"))
    assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Could not find any versions of model other")


def test_metadata_gives_the_signatures(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    from tensorflow_serving.apis import get_model_metadata_pb2

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


def test_methods_that_the_stand_in_lacks_are_unimplemented(
    tiny_server: ModelServer, client: Callable[[ModelServer], OfficialClient]
) -> None:
    official = client(tiny_server)
    from tensorflow_serving.apis import classification_pb2

    request = classification_pb2.ClassificationRequest()
    code, _ = _refused(lambda: official.prediction.Classify(request, timeout=60))
    assert code is grpc.StatusCode.UNIMPLEMENTED


# ------------------------------------------------------------ versions on disk


def test_a_new_version_is_swapped_in_without_a_lost_request(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    base = tmp_path / "models"
    write_tiny_model(base / "1", 0.1, work=50)
    server = serve_models(base)
    official = client(server)
    answers: list[tuple[int, float]] = []
    failures: list[grpc.RpcError] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.append(official.answered())
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(answers) > 20, LOADING_S, "answers of version 1")
        write_tiny_model(base / "2", 0.2, work=50)
        wait_for(lambda: official.states().get(1) == "END", LOADING_S, "version 1 to be unloaded")
        seen = len(answers)
        wait_for(lambda: len(answers) > seen + 20, LOADING_S, "answers of version 2")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert set(answers) == {(1, 0.1), (2, 0.2)}
    assert official.states() == {2: "AVAILABLE", 1: "END"}


def test_a_version_that_does_not_load_leaves_the_old_one_serving(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    base = tmp_path / "models"
    write_tiny_model(base / "1", 0.1)
    official = client(serve_models(base))
    (base / "2").mkdir()
    (base / "2" / "saved_model.pb").write_bytes(b"not a model")
    (base / "latest").mkdir()  # no number
    wait_for(lambda: official.states().get(2) == "END", LOADING_S, "version 2 to be tried")
    assert official.states() == {2: "END", 1: "AVAILABLE"}
    assert official.answered() == (1, 0.1)

    shutil.rmtree(base / "2")
    write_tiny_model(base / "2", 0.2)
    wait_for(lambda: official.states().get(2) == "AVAILABLE", LOADING_S, "the repaired version 2")
    assert official.answered() == (2, 0.2)


def test_a_version_whose_warm_up_fails_is_not_served(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    from tensorflow_serving.apis import prediction_log_pb2

    base = tmp_path / "models"
    write_tiny_model(base / "1", 0.1)
    official = client(serve_models(base))

    bad = write_tiny_model(tmp_path / "elsewhere" / "2", 0.2)
    (bad / "assets.extra").mkdir()
    request = official.request(signature="no such signature")
    log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
    with load_tensorflow().io.TFRecordWriter(str(bad / "assets.extra/tf_serving_warmup_requests")) as out:
        out.write(log.SerializeToString())
    bad.rename(base / "2")
    wait_for(lambda: official.states().get(2) == "END", LOADING_S, "version 2 to be tried")
    assert official.answered() == (1, 0.1)


def test_versions_and_labels_follow_the_models_config_file(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    base = tmp_path / "models"
    for version in (1, 2, 3):
        write_tiny_model(base / str(version), version / 10)
    config = tmp_path / "models.config"
    config.write_text(_config(base, "specific { versions: 1 }", champion=1))
    official = client(serve_models(base, "--models-config", str(config)))
    assert official.answered(label="champion") == (1, 0.1)

    config.write_text("model_config_list { this is not a config")
    config.write_text(_config(base, "latest { num_versions: 2 }", champion=2, challenger=3))
    wait_for(lambda: official.states().get(1) == "END", LOADING_S, "the new configuration")
    assert official.answered(label="champion") == (2, 0.2)
    assert official.answered(label="challenger") == (3, 0.3)
    assert official.answered() == (3, 0.3)


def test_a_new_configuration_can_be_sent_and_is_loaded_when_the_call_returns(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    from google.protobuf import text_format
    from tensorflow_serving.apis import model_management_pb2

    write_tiny_model(tmp_path / "one" / "1", 0.1)
    write_tiny_model(tmp_path / "two" / "7", 0.7)
    official = client(serve_models(tmp_path / "one"))
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(_config(tmp_path / "two", "all {}", stable=7), request.config)
    request.config.model_config_list.config[0].name = "second"
    response = official.model.HandleReloadConfigRequest(request, timeout=120)
    assert response.status.error_code == 0
    assert official.answered(name="second", label="stable") == (7, 0.7)
    code, _ = _refused(lambda: official.answered())  # the first model was not in the new list
    assert code is grpc.StatusCode.NOT_FOUND


def test_while_nothing_is_there_the_server_answers_not_found(
    tmp_path: Path, client: Callable[[ModelServer], OfficialClient]
) -> None:
    (tmp_path / "empty").mkdir()
    with _started(tmp_path / "empty", tmp_path / "log") as server:
        official = client(server)
        code, details = _refused(lambda: official.answered())
        assert (code, details) == (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(tagger)")
        write_tiny_model(tmp_path / "empty" / "1", 0.1)
        wait_for(lambda: _available(official), LOADING_S, "version 1")
        assert official.answered() == (1, 0.1)


def _available(official: OfficialClient) -> bool:
    try:
        return "AVAILABLE" in official.states().values()
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return False


class _started:
    """A server on a port of its own, without waiting for a version to be available."""

    def __init__(self, base_path: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._log = log.open("wb")
        self._base_path = base_path

    def __enter__(self) -> ModelServer:
        command = [sys.executable, "-m", "model_training", "serve", "--base-path", str(self._base_path)]
        command += ["--grpc-port", str(self._port), "--rest-port", "0", "--poll-s", "0.2"]
        process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self._server = ModelServer(self._base_path, self._port, 0, process)
        wait_for(self._listens, LOADING_S, "the port")
        return self._server

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def __exit__(self, *_error: object) -> None:
        self._server.process.terminate()
        self._server.process.wait(60)
        self._log.close()


# ------------------------------------------------------------------ life


def test_a_stopped_server_answers_what_it_has_begun(
    tmp_path: Path,
    serve_models: Callable[..., ModelServer],
    client: Callable[[ModelServer], OfficialClient],
) -> None:
    base = tmp_path / "models"
    write_tiny_model(base / "1", 0.1, work=3000)
    server = serve_models(base)
    official = client(server)
    future = official.prediction.Predict.future(official.request(images=white()), timeout=120)
    wait_for(lambda: _busy(server.process.pid), LOADING_S, "the request to be worked on")
    assert not future.done()
    server.process.send_signal(signal.SIGTERM)
    assert future.result().model_spec.version.value == 1
    assert server.process.wait(60) == 0


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
