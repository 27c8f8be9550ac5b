"""Runs and versions that tell the toy pictures' shapes by their colours, without any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model_training.config import Config, save_config
from model_training.datasets.prepare import prepare
from model_training.datasets.prepared import Prepared
from model_training.evaluation.answers import save_predictions
from model_training.evaluation.held_out import predict
from model_training.serving_protos import tf
from model_training.training.run_folder import CONFIG, open_run
from tests.plugins.toy_pictures import ToyPictures

SIZE = 32
# One pixel of each shape's colour gives more than nothing to its own channel only, and grey to none.
_SEES = {
    "red-disc": ((1, -1, -1), 0),
    "green-square": ((-1, 1, -1), 0),
    "blue-triangle": ((-1, -1, 1), 0),
    "yellow-ring": ((1, 1, -3), -200),
}


def _kernel(labels: tuple[str, ...], *, blind: bool) -> tuple[Any, Any]:
    """Weights and offsets that see each label's colour; ``blind``: that of another label."""
    seen = labels[1:] + labels[:1] if blind else labels
    kernel = np.array([_SEES[label][0] for label in seen], np.float32).T[None, None]
    return kernel, np.array([_SEES[label][1] for label in seen], np.float32)


def toy_data(folder: Path, toy: ToyPictures, **split: float) -> tuple[Config, Prepared]:
    """The toy pictures, prepared in ``folder``; more than half of them are held out."""
    source = {"kind": "coco", "images": toy.images, "annotations": toy.coco}
    config = Config.model_validate(
        {
            "name": "colours",
            "data": {"sources": [source], "split": {"validation": 0.2, "test": 0.6, **split}},
            "input": {"size": SIZE, "batch": 16},
        }
    )
    return config, prepare(config, folder, Console(quiet=True))


def write_colour_run(run: Path, config: Config, prepared: Prepared, *, blind: bool = False) -> Path:
    """A run that was trained and evaluated, as far as a gate looks; ``blind``: it takes labels for others."""
    from keras import Input, Model, layers  # noqa: PLC0415 - TensorFlow is set up first

    labels = tuple(prepared.labels)
    images = Input((SIZE, SIZE, 3))
    seen = layers.Conv2D(len(labels), 1, activation="relu", name="colours")(images)
    features = layers.GlobalAveragePooling2D()(seen)
    logits = layers.Dense(len(labels), name="logits")(features)
    network = Model(images, [features, logits])
    network.get_layer("colours").set_weights(list(_kernel(labels, blind=blind)))
    network.get_layer("logits").set_weights([np.eye(len(labels), dtype=np.float32), np.zeros(len(labels))])
    open_run(run, config, prepared, resume=False)
    save_config(config, run / CONFIG)
    network.save(run / "network.keras")
    (run / "evaluation").mkdir()
    held_out = predict(run, prepared, config, Console(quiet=True))
    save_predictions(run / "evaluation" / "predictions.npz", held_out.test)
    return run


def write_colour_version(folder: Path, labels: tuple[str, ...], *, size: int, named: Any = None) -> Path:
    """A version folder that is served at another size; ``named``: what its labels are called instead."""
    kernel, offset = _kernel(labels, blind=False)
    preprocess = {"id": f"opencv-area-squash-{size}-1", "width": size, "height": size}
    names = tuple(named or labels)
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8, name="images")])
    def answer(images: Any) -> dict[str, Any]:
        seen = tf.nn.relu(tf.nn.conv2d(tf.cast(images, tf.float32), kernel, 1, "SAME") + offset)
        scores = tf.tanh(tf.reduce_mean(seen, axis=[1, 2]) / 255)
        return {"scores": scores, "embedding": tf.math.l2_normalize(scores + 1e-6, axis=1)}

    @tf.function(input_signature=[])
    def spec() -> dict[str, Any]:
        return {
            "labels": tf.constant(names),
            "preprocess": tf.constant(json.dumps(preprocess)),
            "preprocess_id": tf.constant(preprocess["id"]),
            "vocabulary_id": tf.constant("colours-1"),
            "embedding_id": tf.constant("colours-1"),
            "name": tf.constant("colours"),
        }

    module.answer, module.spec = answer, spec
    tf.saved_model.save(module, str(folder), signatures={"serving_default": answer, "spec": spec})
    facts = {
        "name": "colours",
        "preprocess_id": preprocess["id"],
        "vocabulary_id": "colours-1",
        "embedding_id": "colours-1",
        "preprocess": preprocess,
        "labels": len(names),
        "embedding": len(names),
    }
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "model.json").write_text(json.dumps(facts))
    return folder
