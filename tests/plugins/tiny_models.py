"""SavedModels with Vitrine's signatures that are written in a moment and answer with a number one chooses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_training.tensorflow_runtime import load_tensorflow

SIDE = 4
LABELS = ("first", "second")


def write_tiny_model(folder: Path, answer: float, *, work: int = 0, name: str = "tiny") -> Path:
    """Write a version folder by one rename, as publishing does.

    Args:
        folder: The version folder; its parent is made.
        answer: Score of the first label; the second gets the brightest pixel over 255.
        work: How many multiplications of a large matrix an answer costs; 1,000 take about a second.
        name: In its spec.
    """
    tf = load_tensorflow()
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def predict(images: Any) -> dict[str, Any]:
        pixels = tf.cast(images, tf.float32)
        brightest = tf.reduce_max(pixels, axis=[1, 2, 3]) / 255
        matrix = tf.eye(512) + brightest[0] * 0
        _, worked = tf.while_loop(
            lambda i, _: i < work, lambda i, m: (i + 1, tf.matmul(m, matrix)), (0, matrix)
        )
        # Depends on the work, or it would be optimised away.
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
            "name": tf.constant(name),
        }

    module.predict, module.spec = predict, spec
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-partial")
    tf.saved_model.save(module, str(partial), signatures={"serving_default": predict, "spec": spec})
    partial.rename(folder)
    return folder
