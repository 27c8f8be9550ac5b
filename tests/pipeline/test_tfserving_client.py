"""Our client against the stand-in server, beside the official one."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
import skimage

from model_training.serving_protos import tf
from pipeline.ports import IncompatibleModelError, ModelMissingError, PredictorDownError
from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.client import TensorFlowServing
from pipeline.tfserving.tensors import to_tensor
from tests.plugins.model_server import ModelServer
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import SIDE, OfficialClient, TinyServer, white, write_tiny_model

Connect = Callable[..., TensorFlowServing]


@pytest.fixture(scope="module")
def images() -> Any:
    """Three real pictures: uint8 RGB ``[3, 260, 260, 3]``."""
    folder = Path(skimage.__file__).parent / "data"
    names = ("chelsea.png", "coffee.png", "astronaut.png")
    pixels = [cv2.imread(str(folder / name), cv2.IMREAD_COLOR)[..., ::-1] for name in names]
    return np.stack([cv2.resize(p, (260, 260), interpolation=cv2.INTER_AREA) for p in pixels])


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients that are closed after the test."""
    with ExitStack() as opened:

        def open_client(
            addresses: str | list[str], model_name: str = "tagger", **options: float
        ) -> TensorFlowServing:
            client = TensorFlowServing(addresses, model_name=model_name, **options)
            return opened.enter_context(client)

        yield open_client


def _nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def test_our_client_and_the_official_one_get_identical_answers(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    with OfficialClient(model_server.address) as official:
        response = official.predict(official.request(images=images))
    answer = connect(model_server.address).predict(images)
    assert (answer.scores == tf.make_ndarray(response.outputs["scores"])).all()
    assert (answer.embeddings == tf.make_ndarray(response.outputs["embedding"])).all()
    assert answer.spec.identity.version == response.model_spec.version.value


def test_an_answer_comes_with_the_spec_of_its_version(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    client = connect(model_server.address)
    answer = client.predict(images)
    spec = client.spec()
    assert answer.spec == spec
    assert answer.scores.shape == (3, len(spec.labels))
    assert answer.scores.dtype == answer.embeddings.dtype == np.float32
    assert np.linalg.norm(answer.embeddings, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert spec.identity.name == "efficientnet-lite2-imagenet1k-photographs"
    assert spec.identity.version == 1
    assert spec.preprocess.id == spec.identity.preprocess_id
    best = {spec.labels[i] for i in np.argsort(-answer.scores[1])[:3]}
    assert "espresso" in best


def test_a_picture_answers_the_same_alone_and_in_a_batch(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    client = connect(model_server.address)
    together, alone = client.predict(images), client.predict(images[1:2])
    assert np.abs(together.scores[1] - alone.scores[0]).max() < 1e-4


def test_pixels_of_another_size_or_type_are_a_value_error(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    client = connect(model_server.address)
    with pytest.raises(ValueError, match="shape"):
        client.predict(images[:, :200])
    with pytest.raises(ValueError, match="uint8"):
        client.predict(images.astype(np.float32))


def test_a_missing_model_or_label_is_told_from_a_missing_server(
    model_server: ModelServer, connect: Connect
) -> None:
    with pytest.raises(ModelMissingError, match="Latest"):
        connect(model_server.address, "other").spec()
    with pytest.raises(ModelMissingError, match="label"):
        connect(model_server.address).spec("canary")
    with pytest.raises(PredictorDownError) as caught:
        connect(_nobody()).spec()
    assert not isinstance(caught.value, ModelMissingError)


def test_a_deadline_that_passes_is_a_server_that_is_down(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    with pytest.raises(PredictorDownError, match="DEADLINE_EXCEEDED"):
        connect(model_server.address, timeout_s=0.001).predict(np.repeat(images, 8, axis=0))


def test_an_unreachable_address_is_passed_over(
    model_server: ModelServer, images: Any, connect: Connect
) -> None:
    client = connect(f"{_nobody()}, {model_server.address}")
    for _ in range(3):
        assert client.predict(images[:1]).spec.identity.version == 1


def test_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        TensorFlowServing(" , ", model_name="tagger")


@contextmanager
def _answering(version: int, label_count: int = 2, port: int = 0, **spec: bytes | None) -> Iterator[str]:
    """A gRPC server in this process that answers like a model of that version; yields its address."""
    said = {
        "labels": [b"label-%d" % i for i in range(label_count)],
        "preprocess": [b'{"id": "p", "width": 4, "height": 4}'],
        "preprocess_id": [b"p"],
        "vocabulary_id": [b"vocabulary-%d" % version],
        "embedding_id": [b"e"],
        "name": [b"scripted"],
    }
    said |= {name: [value] for name, value in spec.items() if value is not None}
    for name in (name for name, value in spec.items() if value is None):
        del said[name]

    def predict(request: pb.PredictRequest, _context: grpc.ServicerContext) -> pb.PredictResponse:
        response = pb.PredictResponse()
        response.model_spec.version.value = version
        if request.model_spec.signature_name == "spec":
            for name, values in said.items():
                tensor = pb.Tensor(dtype=pb.DT_STRING, string_val=values)
                tensor.tensor_shape.dim.add(size=len(values))
                response.outputs[name].CopyFrom(tensor)
        else:
            count = request.inputs["images"].tensor_shape.dim[0].size
            response.outputs["scores"].CopyFrom(to_tensor(np.full((count, 2), 0.5, np.float32)))
            response.outputs["embedding"].CopyFrom(to_tensor(np.full((count, 1), 1, np.float32)))
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        predict,
        request_deserializer=pb.PredictRequest.FromString,
        response_serializer=pb.PredictResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    service = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": handler}
    )
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _version(client: TensorFlowServing) -> int | None:
    try:
        return client.predict(white()).spec.identity.version
    except PredictorDownError:
        return None


def test_calls_take_turns_and_each_answer_has_its_own_servers_spec(connect: Connect) -> None:
    with _answering(1) as one, _answering(2) as two:
        client = connect([one, two])
        answers = [client.predict(white()).spec.identity for _ in range(4)]
    assert [identity.version for identity in answers] == [1, 2, 1, 2]
    assert {i.vocabulary_id for i in answers} == {"vocabulary-1", "vocabulary-2"}


@pytest.mark.parametrize(
    "spec",
    [
        {"labels": None},
        {"embedding_id": None},
        {"preprocess": b"{}"},
        {"preprocess": b"not json"},
        {"name": b"\xff"},
    ],
)
def test_a_spec_that_cannot_be_read_is_incompatible(spec: dict[str, Any], connect: Connect) -> None:
    with _answering(1, **spec) as address, pytest.raises(IncompatibleModelError, match="version 1"):
        connect(address).predict(white())


def test_scores_that_do_not_fit_the_labels_are_incompatible(connect: Connect) -> None:
    with _answering(1, label_count=3) as address, pytest.raises(IncompatibleModelError, match="3 labels"):
        connect(address).predict(white())


def test_a_server_that_comes_back_is_found_again(connect: Connect) -> None:
    with _answering(1) as address:
        client = connect(address)
        assert client.predict(white()).spec.identity.version == 1
    with pytest.raises(PredictorDownError, match="UNAVAILABLE"):
        client.predict(white())
    with _answering(2, port=int(address.rpartition(":")[2])):
        wait_for(lambda: _version(client) == 2, 60, "the connection to come back")


def test_many_threads_share_one_client_through_a_swap_of_versions(
    tiny_server: TinyServer, tmp_path: Path, connect: Connect
) -> None:
    write_tiny_model(tmp_path / "1", 0.1, work=20)
    tiny_server.serve("threads", tmp_path)
    found: list[tuple[int, str]] = []
    failures: list[Exception] = []
    done = threading.Event()
    client = connect(tiny_server.server.address, "threads")

    def ask() -> None:
        while not done.is_set():
            try:
                identity = client.predict(white()).spec.identity
                found.append((identity.version, identity.vocabulary_id))
            except Exception as error:  # noqa: BLE001 - reported by the assertion
                failures.append(error)

    client.spec()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: bool(found), 120, "version 1")
        write_tiny_model(tmp_path / "2", 0.2, work=20)
        wait_for(lambda: any(version == 2 for version, _ in found), 120, "version 2")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert set(found) == {(1, "vocabulary-0.1"), (2, "vocabulary-0.2")}


def test_a_version_is_asked_for_by_its_label(tiny_server: TinyServer, connect: Connect) -> None:
    client = connect(tiny_server.server.address)
    assert client.spec("stable").identity.version == 1
    assert client.predict(white(), label="stable").spec.identity.version == 1
    assert client.predict(white(), label="canary").spec.identity.version == 2
    assert client.predict(white()).spec.identity.version == 2


def test_a_model_without_a_spec_is_incompatible(
    tiny_server: TinyServer, tmp_path: Path, connect: Connect
) -> None:
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def predict(images: Any) -> dict[str, Any]:
        scores = tf.cast(images[:, 0, 0], tf.float32)
        return {"scores": scores, "embedding": scores}

    module.predict = predict
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": predict})
    tiny_server.serve("no-spec", tmp_path)
    with pytest.raises(IncompatibleModelError, match="spec"):
        connect(tiny_server.server.address, "no-spec").predict(white())


def test_the_client_imports_neither_tensorflow_nor_the_official_protos() -> None:
    code = (
        "import sys; import pipeline.tfserving.client; "
        "print([m for m in sys.modules if m.startswith(('tensorflow', 'keras', 'django'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
