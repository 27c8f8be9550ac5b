"""One client over several real model servers: killed, hanging, rolling out, encrypted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
import trustme

from pipeline.ports import ModelMissingError, PredictorDownError
from pipeline.tfserving import predict_pb2 as pb
from pipeline.tfserving.client import TensorFlowServing
from pipeline.tfserving.tensors import to_tensor
from tests.plugins.model_server import ModelServer, serving
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import model_config, white, write_tiny_model

Connect = Callable[..., TensorFlowServing]
_PATIENCE_S = 120


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base path of a model with version 1."""
    folder = tmp_path_factory.mktemp("versions")
    write_tiny_model(folder / "1", 0.1)
    return folder


@pytest.fixture(scope="module")
def pair(
    versions: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ModelServer, ModelServer]]:
    """Two servers of the same model; who stops one lets it go on."""
    with ExitStack() as running, ThreadPoolExecutor(2) as starters:
        starts = [
            starters.submit(running.enter_context, serving(versions, tmp_path_factory.mktemp(name)))
            for name in ("one", "two")
        ]
        one, two = (start.result() for start in starts)
        yield one, two


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server that has version 2 of the model, labelled ``canary``."""
    folder = tmp_path_factory.mktemp("newer")
    write_tiny_model(folder / "base" / "2", 0.2)
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {model_config('tagger', folder / 'base', canary=2)} }}")
    with serving(folder, folder, "--models-config", str(config)) as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as opened:

        def open_client(*servers: ModelServer | str, **options: object) -> TensorFlowServing:
            addresses = [server if isinstance(server, str) else server.address for server in servers]
            client = TensorFlowServing(addresses, **{"model_name": "tagger", **options})  # type: ignore[arg-type]
            return opened.enter_context(client)

        yield open_client


@contextmanager
def hanging(server: ModelServer) -> Iterator[None]:
    """It keeps its connections and says nothing."""
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def seconds_of(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_a_server_that_hangs_costs_one_deadline_and_not_one_for_each_call(
    pair: tuple[ModelServer, ModelServer], connect: Connect
) -> None:
    deadline_s = 8.0
    client = connect(*pair, timeout_s=deadline_s)
    for _ in range(4):
        client.predict(white())

    with hanging(pair[0]):
        spent = [seconds_of(lambda: client.predict(white())) for _ in range(20)]

    late = [seconds for seconds in spent if seconds >= deadline_s * 0.9]
    assert len(late) == 1, spent
    assert sum(spent) < 2 * deadline_s


def test_a_server_that_went_on_gets_calls_again(
    pair: tuple[ModelServer, ModelServer], connect: Connect
) -> None:
    client = connect(*pair, timeout_s=2)
    with hanging(pair[0]):
        for _ in range(4):
            client.predict(white())

    # Only the first of the two is left, so an answer is its answer.
    with hanging(pair[1]):
        wait_for(lambda: _answers(client), _PATIENCE_S, "the first server")


def _answers(client: TensorFlowServing) -> bool:
    try:
        client.predict(white())
    except PredictorDownError:
        return False
    return True


def test_a_deadline_that_passes_on_every_server_is_told_after_two(
    pair: tuple[ModelServer, ModelServer], connect: Connect
) -> None:
    client = connect(*pair, pair[0].address, timeout_s=1)

    with hanging(pair[0]), hanging(pair[1]):
        began = time.monotonic()
        with pytest.raises(PredictorDownError, match="DEADLINE_EXCEEDED"):
            client.predict(white())

    assert time.monotonic() - began < 2.9


def test_a_killed_server_is_passed_over_and_costs_later_calls_nothing(
    versions: Path, pair: tuple[ModelServer, ModelServer], tmp_path: Path, connect: Connect
) -> None:
    with serving(versions, tmp_path) as third:
        client = connect(third, pair[1])
        for _ in range(4):
            client.predict(white())
        third.process.kill()
        third.process.wait(_PATIENCE_S)

        client.predict(white())
        client.predict(white())
        spent = [seconds_of(lambda: client.predict(white())) for _ in range(20)]

    # Trying to reach it would cost each second call the pauses between gRPC's attempts, about a second.
    assert sorted(spent)[len(spent) // 2] < 0.5
    assert sum(spent) < 5


def test_a_missing_model_is_told_with_its_name_the_server_and_what_to_do(
    pair: tuple[ModelServer, ModelServer], connect: Connect
) -> None:
    with pytest.raises(ModelMissingError) as caught:
        connect(pair[0], model_name="taggre").spec()

    message = str(caught.value)
    assert "'taggre'" in message
    assert pair[0].address in message
    assert "VITRINE_MODEL_NAME" in message


def test_a_missing_label_is_told_with_its_name_the_server_and_what_to_do(
    pair: tuple[ModelServer, ModelServer], connect: Connect
) -> None:
    with pytest.raises(ModelMissingError) as caught:
        connect(*pair).predict(white(), label="canary")

    message = str(caught.value)
    assert "'canary'" in message
    assert "'tagger'" in message
    assert pair[1].address in message
    assert "version_labels" in message


def test_while_a_version_is_rolled_out_each_answer_comes_with_the_spec_of_its_own_version(
    pair: tuple[ModelServer, ModelServer], newer: ModelServer, connect: Connect
) -> None:
    """One server has version 2 already, the other still answers with version 1."""
    client = connect(pair[0], newer)
    answers = [client.predict(white()) for _ in range(6)]

    found = {(one.spec.identity.version, one.spec.identity.vocabulary_id) for one in answers}
    assert found == {(1, "vocabulary-0.1"), (2, "vocabulary-0.2")}
    assert {round(float(one.scores[0, 0]), 3) for one in answers if one.spec.identity.version == 2} == {0.2}


def test_a_label_that_only_one_server_has_yet_is_found_there(
    pair: tuple[ModelServer, ModelServer], newer: ModelServer, connect: Connect
) -> None:
    client = connect(pair[0], newer)
    found = {client.predict(white(), label="canary").spec.identity.version for _ in range(4)}

    assert found == {2}


@contextmanager
def scripted(side: int, *, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    """A server in this process whose model takes pictures of one size only; yields its address."""

    def predict(request: pb.PredictRequest, context: grpc.ServicerContext) -> pb.PredictResponse:
        response = pb.PredictResponse()
        response.model_spec.version.value = side
        if request.model_spec.signature_name == "spec":
            preprocess = b'{"id": "p%d", "width": %d, "height": %d}' % (side, side, side)
            told = {"labels": b"one", "preprocess": preprocess, "preprocess_id": b"p%d" % side}
            for name, value in (
                told | dict.fromkeys(("vocabulary_id", "embedding_id", "name"), b"x")
            ).items():
                tensor = pb.Tensor(dtype=pb.DT_STRING, string_val=[value])
                tensor.tensor_shape.dim.add(size=1)
                response.outputs[name].CopyFrom(tensor)
            return response
        count, *size = (dim.size for dim in request.inputs["images"].tensor_shape.dim)
        if size != [side, side, 3]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"pictures of {size}")
        response.outputs["scores"].CopyFrom(to_tensor(np.full((count, 1), 0.5, np.float32)))
        response.outputs["embedding"].CopyFrom(to_tensor(np.full((count, 1), 1, np.float32)))
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        predict,
        request_deserializer=pb.PredictRequest.FromString,
        response_serializer=pb.PredictResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"Predict": handler}
    )
    server.add_generic_rpc_handlers((service,))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0).wait()


def test_pictures_that_one_version_refuses_go_to_the_server_that_asked_for_them(connect: Connect) -> None:
    with scripted(4) as older, scripted(6) as newer:
        client = connect(older, newer)
        versions = {client.predict(white()).spec.identity.version for _ in range(4)}
        assert versions == {4}
        with pytest.raises(ValueError, match=r"pictures of \[5, 5, 3\]"):
            client.predict(np.zeros((1, 5, 5, 3), np.uint8))


def test_an_encrypted_connection_trusts_the_certificates_it_is_given_and_no_others(
    tmp_path: Path, connect: Connect
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    pair = ours.issue_cert("localhost")
    credentials = grpc.ssl_server_credentials(
        [(pair.private_key_pem.bytes(), pair.cert_chain_pems[0].bytes())]
    )
    for name, authority in {"ours": ours, "others": others}.items():
        authority.cert_pem.write_to_path(tmp_path / name)

    with scripted(4, credentials=credentials) as address:
        assert connect(address, ca_file=tmp_path / "ours").predict(white()).spec.identity.version == 4
        with pytest.raises(PredictorDownError):
            connect(address, ca_file=tmp_path / "others", timeout_s=10).predict(white())
        with pytest.raises(PredictorDownError):
            connect(address, timeout_s=10).predict(white())
