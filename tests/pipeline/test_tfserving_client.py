"""Our client against the stand-in server, beside the official one."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage

from pipeline.ports import IncompatibleModelError, ModelMissingError, PredictorDownError
from pipeline.tfserving.client import TensorFlowServing
from tests.plugins.model_server import ModelServer
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import SIDE, write_tiny_model


@pytest.fixture(scope="module")
def images() -> Any:
    """Three real pictures: uint8 RGB ``[3, 260, 260, 3]``."""
    folder = Path(skimage.__file__).parent / "data"
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    pixels = [cv2.imread(str(folder / name), cv2.IMREAD_COLOR)[..., ::-1] for name in names]
    return np.stack([cv2.resize(p, (260, 260), interpolation=cv2.INTER_AREA) for p in pixels])


def _tiny(count: int = 1) -> Any:
    return np.zeros((count, SIDE, SIDE, 3), np.uint8)


def _nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_our_client_and_the_official_one_get_identical_answers(
    model_server: ModelServer, images: Any
) -> None:
    import grpc

    from model_training.tensorflow_runtime import load_tensorflow

    tf = load_tensorflow()
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tagger"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
    with grpc.insecure_channel(model_server.address) as channel:
        response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=120)
    with TensorFlowServing(model_server.address, model_name="tagger") as ours:
        answer = ours.predict(images)
    assert (answer.scores == tf.make_ndarray(response.outputs["scores"])).all()
    assert (answer.embeddings == tf.make_ndarray(response.outputs["embedding"])).all()
    assert answer.spec.identity.version == response.model_spec.version.value


def test_an_answer_comes_with_the_spec_of_its_version(model_server: ModelServer, images: Any) -> None:
    with TensorFlowServing(model_server.address, model_name="tagger") as client:
        answer = client.predict(images)
        spec = client.spec()
    assert answer.spec == spec
    assert answer.scores.shape == (3, len(spec.labels))
    assert answer.scores.dtype == answer.embeddings.dtype == np.float32
    assert np.linalg.norm(answer.embeddings, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert spec.identity.name == "efficientnet-lite2-imagenet1k"
    assert spec.identity.version == 1
    assert spec.preprocess.id == spec.identity.preprocess_id
    best = {spec.labels[i] for i in np.argsort(-answer.scores[1])[:3]}
    assert "espresso" in best


def test_a_picture_answers_the_same_alone_and_in_a_batch(model_server: ModelServer, images: Any) -> None:
    with TensorFlowServing(model_server.address, model_name="tagger") as client:
        together = client.predict(images)
        alone = client.predict(images[1:2])
    assert np.abs(together.scores[1] - alone.scores[0]).max() < 1e-4


def test_pixels_of_another_size_or_type_are_a_value_error(model_server: ModelServer, images: Any) -> None:
    with TensorFlowServing(model_server.address, model_name="tagger") as client:
        with pytest.raises(ValueError, match="shape"):
            client.predict(images[:, :200])
        with pytest.raises(ValueError, match="uint8"):
            client.predict(images.astype(np.float32))


def test_a_missing_model_or_label_is_told_from_a_missing_server(model_server: ModelServer) -> None:
    with TensorFlowServing(model_server.address, model_name="other") as client:
        with pytest.raises(ModelMissingError, match="Latest"):
            client.spec()
    with TensorFlowServing(model_server.address, model_name="tagger") as client:
        with pytest.raises(ModelMissingError, match="label"):
            client.spec("canary")
    with TensorFlowServing(_nobody(), model_name="tagger") as client:
        with pytest.raises(PredictorDownError) as caught:
            client.spec()
        assert not isinstance(caught.value, ModelMissingError)


def test_a_deadline_that_passes_is_a_server_that_is_down(model_server: ModelServer, images: Any) -> None:
    with TensorFlowServing(model_server.address, model_name="tagger", timeout_s=0.001) as client:
        with pytest.raises(PredictorDownError, match="DEADLINE_EXCEEDED"):
            client.predict(np.repeat(images, 8, axis=0))


def test_an_unreachable_address_is_passed_over(model_server: ModelServer, images: Any) -> None:
    addresses = f"{_nobody()}, {model_server.address}"
    with TensorFlowServing(addresses, model_name="tagger") as client:
        for _ in range(3):
            assert client.predict(images[:1]).spec.identity.version == 1


def test_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        TensorFlowServing(" , ", model_name="tagger")


def test_calls_take_turns_and_each_answer_has_its_own_servers_spec(
    tmp_path: Path, serve_models: Callable[..., ModelServer]
) -> None:
    for version in (1, 2):
        write_tiny_model(tmp_path / str(version) / str(version), version / 10)
    addresses = [serve_models(tmp_path / str(version)).address for version in (1, 2)]
    with TensorFlowServing(addresses, model_name="tagger") as client:
        answers = [client.predict(_tiny()) for _ in range(4)]
    found = [(a.spec.identity.version, round(float(a.scores[0, 0]), 3)) for a in answers]
    assert sorted(found) == [(1, 0.1), (1, 0.1), (2, 0.2), (2, 0.2)]
    assert found[0] != found[1]
    assert {a.spec.identity.vocabulary_id for a in answers} == {"vocabulary-0.1", "vocabulary-0.2"}


def test_many_threads_share_one_client_through_a_swap_of_versions(
    tmp_path: Path, serve_models: Callable[..., ModelServer]
) -> None:
    base = tmp_path / "models"
    write_tiny_model(base / "1", 0.1, work=20)
    server = serve_models(base)
    found: list[tuple[int, str]] = []
    failures: list[Exception] = []
    done = threading.Event()
    with TensorFlowServing(server.address, model_name="tagger") as client:

        def ask() -> None:
            while not done.is_set():
                try:
                    identity = client.predict(_tiny()).spec.identity
                    found.append((identity.version, identity.vocabulary_id))
                except Exception as error:  # noqa: BLE001 - reported by the assertion
                    failures.append(error)

        client.spec()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: bool(found), 120, "version 1")
            write_tiny_model(base / "2", 0.2, work=20)
            wait_for(lambda: any(v == 2 for v, _ in found), 120, "version 2")
        finally:
            done.set()
            for thread in threads:
                thread.join()
    assert failures == []
    assert set(found) == {(1, "vocabulary-0.1"), (2, "vocabulary-0.2")}


def test_a_model_without_a_spec_is_incompatible(
    tmp_path: Path, serve_models: Callable[..., ModelServer]
) -> None:
    from model_training.tensorflow_runtime import load_tensorflow

    tf = load_tensorflow()
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.uint8, name="images")])
    def predict(images: Any) -> dict[str, Any]:
        scores = tf.cast(images[:, 0, 0], tf.float32)
        return {"scores": scores, "embedding": scores}

    module.predict = predict
    tf.saved_model.save(module, str(tmp_path / "models" / "1"), signatures={"serving_default": predict})
    server = serve_models(tmp_path / "models")
    with TensorFlowServing(server.address, model_name="tagger") as client:
        with pytest.raises(IncompatibleModelError, match="spec"):
            client.predict(_tiny())


def test_the_client_imports_neither_tensorflow_nor_the_official_protos() -> None:
    code = (
        "import sys; import pipeline.tfserving.client; "
        "print([m for m in sys.modules if m.startswith(('tensorflow', 'keras', 'django'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
