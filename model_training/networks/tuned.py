"""Copies of the backbone's last blocks that learn the labels, beside the blocks that stay as they are.

The backbone's features, the embedding and what its own classes say stay what they were; only the labels' head
reads something else: (1 - share) · features + share · tuned features. Of a linear head that is its own logits
plus share · (tuned features - features) · kernel, so the copies are an addition that can be left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import FEATURES, Variant


def build_tuned(variant: Variant, backbone: Any, blocks: int, labels: int) -> Any:
    """Copies of a backbone's last blocks, and the addition that they are to the logits: nothing as yet.

    Args:
        variant: Which of its family the backbone is.
        backbone: With its weights, which are copied, batch norm folded.
        blocks: How many are copied.
        labels: How many logits.

    Returns:
        A ``keras.Model`` called ``tuned``: the map at the fork ``[N, h, w, C]`` and the backbone's features
        ``[N, 1280]`` → what is added to the logits, float32 ``[N, labels]``.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - importing Keras takes seconds

    shape = tuple(efficientnet_lite.fork(variant, backbone, blocks).shape[1:])
    upper = efficientnet_lite.build_upper(variant, blocks, shape)
    efficientnet_lite.copy_upper(backbone, upper)
    below, features = Input(shape, name="below"), Input((FEATURES,), name="features")
    tuned = layers.GlobalAveragePooling2D(name="tuned_features")(upper(below))
    moved = layers.Subtract(name="moved")([tuned, features])
    addition = layers.Dense(labels, use_bias=False, kernel_initializer="zeros", name="addition")(moved)
    return Model([below, features], addition, name="tuned")


def blocks_of(upper: Any) -> int:
    """How many blocks :func:`build_tuned` was told to copy."""
    return sum(layer.name.endswith("_depthwise") for layer in upper.layers)


def weigh(tuned: Any, kernel: NDArray[np.float32], share: float) -> None:
    """Let the tuned features be a share of what a head's ``kernel`` ``[1280, labels]`` reads."""
    tuned.get_layer("addition").set_weights([share * kernel])
