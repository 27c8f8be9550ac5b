"""Writes a network as the SavedModel that Vitrine serves.

Two signatures. ``serving_default``: ``images`` uint8 RGB ``[N, H, W, 3]`` → ``scores`` float32
``[N, L]``, ``embedding`` float32 ``[N, D]`` of unit length. ``spec``: nothing → what a client that sees
no folder must know: labels, preprocess and the ids, as constants.

Everything is inside the graph: normalisation of the pixels, the network, what makes scores of its logits,
the projection. Weights are frozen into constants, which lets TensorFlow prepare them once for oneDNN.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.golden import write_golden
from model_training.projection import Projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import Vocabulary
from pipeline.ports import PreprocessSpec

WARMUP_FILE = "tf_serving_warmup_requests"
# One picture that somebody waits for, and a batch: oneDNN prepares itself for each size anew.
WARMUP_BATCHES = (1, 8)


@dataclass(frozen=True, slots=True)
class Exported:
    """What is exported, and under which names."""

    name: str
    answer: Callable[[Any], tuple[Any, Any]]
    """In the graph: images float32 ``[N, H, W, 3]`` in 0…255 → features ``[N, F]``, scores ``[N, L]``."""
    preprocess: PreprocessSpec
    vocabulary: Vocabulary
    projection: Projection
    heads_id: str | None = None
    """Names the weights of its heads, where they change from build to build and the vocabulary may not."""

    def facts(self) -> dict[str, Any]:
        """The contents of ``assets.extra/model.json``."""
        return {
            "name": self.name,
            "preprocess_id": self.preprocess.id,
            "vocabulary_id": self.vocabulary.id,
            "embedding_id": self.projection.id,
            **({} if self.heads_id is None else {"heads_id": self.heads_id}),
            "preprocess": self.preprocess.model_dump(),
            "labels": len(self.vocabulary.tags),
            "embedding": self.projection.components.shape[1],
        }


def square_squash(size: int) -> PreprocessSpec:
    """The whole picture resized to ``size`` x ``size`` by area averaging, whatever its proportions."""
    fit, interpolation = "squash", "area"
    return PreprocessSpec(
        id=f"opencv-{interpolation}-{fit}-{size}-1",
        width=size,
        height=size,
        fit=fit,
        interpolation=interpolation,
    )


def _answer(tf: Any, exported: Exported) -> Any:
    mean = tf.constant(exported.projection.mean)
    components = tf.constant(exported.projection.components)
    size = exported.preprocess

    @tf.function(input_signature=[tf.TensorSpec([None, size.height, size.width, 3], tf.uint8, name="images")])
    def answer(images: Any) -> dict[str, Any]:
        features, scores = exported.answer(tf.cast(images, tf.float32))
        projected = tf.matmul(tf.math.l2_normalize(features, axis=1) - mean, components)
        return {"scores": scores, "embedding": tf.math.l2_normalize(projected, axis=1)}

    return answer


def frozen(tf: Any, function: Any) -> Any:
    """The same function with its variables as constants; outputs keep their names."""
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415
        convert_variables_to_constants_v2,
    )

    concrete = function.get_concrete_function()
    names = sorted(concrete.structured_outputs)  # the order in which a dictionary is flattened
    constants = convert_variables_to_constants_v2(concrete)

    @tf.function(input_signature=function.input_signature)
    def constant(images: Any) -> dict[str, Any]:
        return dict(zip(names, constants(images), strict=True))

    return constant


def _spec(tf: Any, exported: Exported) -> Any:
    facts = exported.facts()

    @tf.function(input_signature=[])
    def spec() -> dict[str, Any]:
        return {
            "labels": tf.constant(exported.vocabulary.labels, tf.string),
            "preprocess": tf.constant(exported.preprocess.model_dump_json()),
            "preprocess_id": tf.constant(facts["preprocess_id"]),
            "vocabulary_id": tf.constant(facts["vocabulary_id"]),
            "embedding_id": tf.constant(facts["embedding_id"]),
            "name": tf.constant(exported.name),
        }

    return spec


def _write_extras(tf: Any, exported: Exported, folder: Path) -> None:
    """``assets.extra/``: what the server (warm-up) and the trainers (vocabulary, identity) read."""
    from model_training.serving_protos import predict_pb2, prediction_log_pb2  # noqa: PLC0415

    folder.mkdir()
    for name, content in (("vocabulary", exported.vocabulary.as_json()), ("model", exported.facts())):
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8")

    requests = [predict_pb2.PredictRequest()]
    requests[0].model_spec.signature_name = "spec"
    for batch in WARMUP_BATCHES:
        request = predict_pb2.PredictRequest()
        request.model_spec.signature_name = "serving_default"
        pixels: NDArray[np.uint8] = np.full(
            (batch, exported.preprocess.height, exported.preprocess.width, 3), 127, dtype=np.uint8
        )
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(pixels))
        requests.append(request)
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as records:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            records.write(log.SerializeToString())


def export(exported: Exported, to: Path) -> None:
    """Write the SavedModel with its extras into a folder that does not exist yet.

    What it answers to the golden request is written beside it last, from what lies on the disk by then.
    """
    tf = load_tensorflow()
    module = tf.Module()
    module.answer = frozen(tf, _answer(tf, exported))
    module.spec = _spec(tf, exported)
    tf.saved_model.save(module, str(to), signatures={"serving_default": module.answer, "spec": module.spec})
    _write_extras(tf, exported, to / "assets.extra")
    write_golden(to, height=exported.preprocess.height, width=exported.preprocess.width)
