"""Models that tell the drawn shapes by their colours: right without any training, or all wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from model_training.export import Exported, export, square_squash
from model_training.projection import DIMENSIONS, Projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import Tag, Vocabulary
from tests.plugins.finished_run import COMMIT, CONFIG, DATA_HASH, MEASURED
from tests.plugins.toy_pictures import LABELS

SIDE = 64
COLOURS = ((210, 20, 30), (20, 180, 40), (20, 40, 220), (240, 220, 20))
_GRID = 8
_NEAR = 90.0
_SURE_FROM, _SLOPE = 0.012, 600.0
"""A shape covers a twentieth of its picture and more; JPEG's wrong colours along the edges far less."""


def write_colour_version(
    folder: Path, *, name: str = "colours", wrong: bool = False, slope: float = _SLOPE
) -> Path:
    """Export a version folder.

    Args:
        folder: That does not exist yet.
        name: Of the model.
        wrong: Each label gets the score of the next one.
        slope: How quickly it is sure. Another one is another model that says the same.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    space = np.random.default_rng(1).normal(size=(_GRID * _GRID * 3, DIMENSIONS)).astype(np.float32)
    tags = tuple(
        Tag(slug, text, "leaf", frozenset({column}), (), (), 0.5)
        for column, (slug, text) in enumerate(LABELS.items())
    )
    exported = Exported(
        name=name,
        answer=_answer(wrong=wrong, slope=slope),
        preprocess=square_squash(SIDE),
        vocabulary=Vocabulary("colours", tags),
        projection=Projection(np.zeros(len(space), np.float32), space, space="colours"),
    )
    export(exported, folder)
    return folder


def _answer(*, wrong: bool, slope: float) -> Any:
    tf = load_tensorflow()

    def answer(images: Any) -> tuple[Any, Any]:
        distances = tf.norm(images[:, :, :, None, :] - tf.constant(COLOURS, tf.float32), axis=-1)
        share = tf.reduce_mean(tf.cast(distances < _NEAR, tf.float32), axis=[1, 2])
        scores = tf.sigmoid(slope * (share - _SURE_FROM))
        features = tf.reshape(tf.image.resize(images, (_GRID, _GRID)), (-1, _GRID * _GRID * 3))
        return features, tf.roll(scores, 1, axis=1) if wrong else scores

    return answer


def write_run_of(folder: Path, name: str, *, registered_model: str = "tagger") -> Path:
    """A run folder, without its network, of which a version may be registered."""
    (folder / "evaluation").mkdir(parents=True)
    config = CONFIG.replace("name: toy\n", f"name: {name}\n").replace("toy-tagger", registered_model)
    (folder / "config.yaml").write_text(config)
    (folder / "data.json").write_text(json.dumps({"data_hash": DATA_HASH, "git_commit": COMMIT}))
    (folder / "evaluation" / "metrics.json").write_text(json.dumps(MEASURED))
    (folder / "model_card.md").write_text(f"# {name}\n\nA model for tests.\n")
    return folder
