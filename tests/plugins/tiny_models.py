"""SavedModels with Vitrine's signatures, written in a moment, and a server to which tests add such models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc
import numpy as np
from google.protobuf import text_format

from model_training.serving_protos import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    tf,
)
from tests.plugins.model_server import ModelServer, serving

SIDE = 4
LABELS = ("first", "second")
_CALL_WITHIN_S = 120


def white(count: int = 1) -> Any:
    """Pictures for a tiny model."""
    return np.full((count, SIDE, SIDE, 3), 255, dtype=np.uint8)


def write_tiny_model(folder: Path, answer: float, *, work: int = 0) -> Path:
    """Write a version folder by one rename, as publishing does.

    Args:
        folder: The version folder; its parent is made.
        answer: Score of the first label; the second gets the brightest pixel over 255.
        work: How many multiplications of a large matrix an answer costs; 100 take about half a second.
    """
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def predict(images: Any) -> dict[str, Any]:
        brightest = tf.reduce_max(tf.cast(images, tf.float32), axis=[1, 2, 3]) / 255
        matrix = tf.eye(512) + brightest[0] * 0
        _, worked = tf.while_loop(
            lambda i, _: i < work, lambda i, m: (i + 1, tf.matmul(m, matrix)), (0, matrix)
        )
        # Depends on the work, or that would be optimised away.
        first = tf.fill(tf.shape(brightest), float(answer)) * worked[0, 0]
        embedding = tf.tile([[0.6, 0.8]], [tf.shape(images)[0], 1])
        return {"scores": tf.stack([first, brightest], axis=1), "embedding": embedding}

    @tf.function(input_signature=[])
    def spec() -> dict[str, Any]:
        preprocess = {"id": f"test-{SIDE}", "width": SIDE, "height": SIDE}
        return {
            "labels": tf.constant(LABELS),
            "preprocess": tf.constant(json.dumps(preprocess)),
            "preprocess_id": tf.constant(preprocess["id"]),
            "vocabulary_id": tf.constant(f"vocabulary-{answer}"),
            "embedding_id": tf.constant("embedding-2"),
            "name": tf.constant("tiny"),
        }

    module.predict, module.spec = predict, spec
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-partial")
    tf.saved_model.save(module, str(partial), signatures={"serving_default": predict, "spec": spec})
    partial.rename(folder)
    return folder


class OfficialClient:
    """The stubs of the package ``tensorflow-serving-api``."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._channel.close()

    def request(self, *, name: str = "tagger", images: Any = None, **spec: Any) -> Any:
        """A ``PredictRequest``; ``spec``: signature, version, label."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = spec.get("signature", "")
        if "version" in spec:
            request.model_spec.version.value = spec["version"]
        if "label" in spec:
            request.model_spec.version_label = spec["label"]
        if images is not None:
            request.inputs["images"].CopyFrom(tf.make_tensor_proto(images))
        return request

    def predict(self, request: Any) -> Any:
        """Ask."""
        return self.prediction.Predict(request, timeout=_CALL_WITHIN_S)

    def answered(self, **spec: Any) -> tuple[int, float]:
        """Which version of a tiny model answers, and its first score."""
        response = self.predict(self.request(images=white(), **spec))
        scores = tf.make_ndarray(response.outputs["scores"])
        return response.model_spec.version.value, round(float(scores[0, 0]), 3)

    def states(self, name: str = "tagger") -> dict[int, str]:
        """State of each version that the server knows of; empty: it knows of none."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        try:
            response = self.model.GetModelStatus(request, timeout=_CALL_WITHIN_S)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {}
            raise
        state = get_model_status_pb2.ModelVersionStatus.State
        return {status.version: state.Name(status.state) for status in response.model_version_status}


def model_config(name: str, base_path: Path, policy: str = "", **labels: int) -> str:
    """One ``config`` of a ``model_config_list``, in text."""
    versions = f"model_version_policy {{ {policy} }}" if policy else ""
    pairs = "".join(f'version_labels {{ key: "{k}" value: {v} }} ' for k, v in labels.items())
    return f'config {{ name: "{name}" base_path: "{base_path}" {versions} {pairs}}}'


class TinyServer:
    """A server of ``tagger`` (versions 1, labelled ``stable``, and 2, ``canary``) and what tests add."""

    def __init__(self, server: ModelServer, client: OfficialClient, first: str) -> None:
        self.server = server
        self.client = client
        self._configs = {"tagger": first}

    def serve(self, name: str, base_path: Path, policy: str = "", **labels: int) -> None:
        """Add or change a model; returns when what is on disk is loaded."""
        self._configs[name] = model_config(name, base_path, policy, **labels)
        self.refresh()

    def remove(self, name: str) -> None:
        """Serve a model no longer."""
        del self._configs[name]
        self.refresh()

    def refresh(self) -> None:
        """Send the configuration again; returns when what is on disk is loaded."""
        request = model_management_pb2.ReloadConfigRequest()
        text = f"model_config_list {{ {' '.join(self._configs.values())} }}"
        text_format.Parse(text, request.config)
        response = self.client.model.HandleReloadConfigRequest(request, timeout=_CALL_WITHIN_S)
        assert response.status.error_code == 0


@contextmanager
def tiny_serving(work: Path) -> Iterator[TinyServer]:
    """Starts the server in a folder of its own."""
    for version in (1, 2):
        write_tiny_model(work / "tagger" / str(version), version / 10)
    policy = "specific { versions: 1 versions: 2 }"
    first = model_config("tagger", work / "tagger", policy, stable=1, canary=2)
    (work / "models.config").write_text(f"model_config_list {{ {first} }}")
    with (
        serving(work, work, "--models-config", str(work / "models.config")) as server,
        OfficialClient(server.address) as client,
    ):
        tiny = TinyServer(server, client, first)
        tiny.refresh()
        yield tiny
