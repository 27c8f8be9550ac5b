"""The default model as it lies on disk: TensorFlow, OpenVINO and the sources must agree about it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from model_training.default_model import default_vocabulary
from model_training.projection import load_projection
from model_training.serving_protos import prediction_log_pb2, tf
from model_training.vocabulary import Vocabulary
from pipeline.ports import PreprocessSpec


@pytest.fixture(scope="module")
def images(photos: dict[str, Any]) -> Any:
    return np.stack([photos["chelsea"], photos["coffee"]])


@pytest.fixture(scope="module")
def answers(exported: Any, images: Any) -> dict[str, Any]:
    found = exported.signatures["serving_default"](images=tf.constant(images))
    return {name: value.numpy() for name, value in found.items()}


@pytest.fixture(scope="module")
def spec(exported: Any) -> dict[str, Any]:
    return {name: value.numpy() for name, value in exported.signatures["spec"]().items()}


def _softmax(logits: Any) -> Any:
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def _related(vocabulary: Vocabulary) -> set[str]:
    """Tags above or below a trained one, themselves included: those that the tree may bound."""
    above = vocabulary.above()
    trained = {tag.slug for tag in vocabulary.tags if tag.trained}
    return trained.union(
        {slug for slug in above if above[slug] & trained}, *(above[slug] for slug in trained)
    )


def test_tags_of_classes_score_the_reference_softmax_summed(
    answers: dict[str, Any], reference_logits: dict[str, Any]
) -> None:
    probabilities = np.stack([_softmax(reference_logits[name]) for name in ("chelsea", "coffee")])
    vocabulary = default_vocabulary()
    related = _related(vocabulary)
    free = [column for column, tag in enumerate(vocabulary.tags) if tag.slug not in related]
    assert len(free) > 500
    summed = probabilities @ vocabulary.membership(1000)
    assert np.abs(answers["scores"][:, free] - summed[:, free]).max() < 1e-4


def test_the_photographs_are_what_they_show(answers: dict[str, Any], spec: dict[str, Any]) -> None:
    labels = [label.decode() for label in spec["labels"].tolist()]
    cat, coffee = (dict(zip(labels, row, strict=True)) for row in answers["scores"])
    assert cat["cat"] > 0.7
    assert cat["animal"] >= cat["cat"]
    assert cat["dog"] < 0.1
    assert coffee["beverage"] > 0.7
    assert coffee["espresso"] > 0.7


def test_scores_are_probabilities(answers: dict[str, Any]) -> None:
    assert answers["scores"].dtype == np.float32
    assert answers["scores"].min() >= 0
    assert answers["scores"].max() <= 1


def test_embeddings_have_unit_length_and_are_the_projected_features(
    answers: dict[str, Any], images: Any
) -> None:
    embedding = answers["embedding"]
    assert embedding.shape == (2, 320)
    assert np.linalg.norm(embedding, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert abs(float(embedding[0] @ embedding[1])) < 0.5


@pytest.mark.parametrize("shade", [0, 127, 255])
def test_a_picture_of_one_shade_has_a_finite_embedding_too(exported: Any, shade: int) -> None:
    flat = tf.fill([1, 260, 260, 3], tf.constant(shade, tf.uint8))
    embedding = exported.signatures["serving_default"](images=flat)["embedding"].numpy()
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)


def test_openvino_reads_the_same_answers_out_of_the_saved_model(
    version_dir: Path, images: Any, answers: dict[str, Any]
) -> None:
    core = openvino.Core()
    model = core.compile_model(core.read_model(version_dir), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(images)
    for name in ("scores", "embedding"):
        assert np.abs(found[name] - answers[name]).max() < 1e-4


def test_the_spec_says_what_a_client_must_know(spec: dict[str, Any], extras: dict[str, Any]) -> None:
    facts, vocabulary = extras["model"], extras["vocabulary"]
    assert [label.decode() for label in spec["labels"].tolist()] == [t["slug"] for t in vocabulary["tags"]]
    preprocess = PreprocessSpec.model_validate_json(spec["preprocess"])
    assert preprocess == PreprocessSpec.model_validate(facts["preprocess"])
    assert (preprocess.width, preprocess.height, preprocess.fit) == (260, 260, "squash")
    assert spec["preprocess_id"].decode() == facts["preprocess_id"] == preprocess.id
    assert spec["vocabulary_id"].decode() == facts["vocabulary_id"] == vocabulary["vocabulary_id"]
    assert spec["embedding_id"].decode() == facts["embedding_id"] == load_projection().id
    assert spec["name"].decode() == facts["name"] == "efficientnet-lite2-imagenet1k-photographs"


def test_the_vocabulary_beside_the_model_is_complete(extras: dict[str, Any]) -> None:
    keys = {"slug", "name", "kind", "parents", "synonyms", "threshold"}
    assert all(set(tag) == keys for tag in extras["vocabulary"]["tags"])
    assert extras["vocabulary"] == json.loads(json.dumps(default_vocabulary().as_json()))


def test_the_graph_is_frozen_and_has_no_batch_norm(version_dir: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(version_dir))
    library = meta.graph_def.library.function
    operations = {node.op for function in library for node in function.node_def}
    assert {"Conv2D", "DepthwiseConv2dNative", "MatMul"} <= operations
    assert not operations & {"ReadVariableOp", "FusedBatchNormV3"}


def test_warm_up_requests_cover_one_picture_and_a_batch(version_dir: Path) -> None:
    content = (version_dir / "assets.extra" / "tf_serving_warmup_requests").read_bytes()
    shapes, position = [], 0
    while position < len(content):  # TFRecord: length, its checksum, data, its checksum
        (length,) = struct.unpack_from("<Q", content, position)
        log = prediction_log_pb2.PredictionLog.FromString(content[position + 12 : position + 12 + length])
        images = log.predict_log.request.inputs.get("images")
        shapes.append([dim.size for dim in images.tensor_shape.dim] if images else None)
        position += 16 + length
    assert shapes == [None, [1, 260, 260, 3], [8, 260, 260, 3]]
