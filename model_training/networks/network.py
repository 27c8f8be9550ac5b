"""A backbone and a head, put together into the network that answers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from model_training.config import Network as NetworkConfig
from model_training.networks import efficientnet_lite
from model_training.networks.backbones import LITE, build_backbone
from model_training.networks.class_odds import Classes, classes_of
from model_training.networks.heads import Kind, build_head, takes_map
from model_training.networks.tuned import blocks_of, build_tuned
from model_training.tensorflow_runtime import load_tensorflow

Precision = Literal["none", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Network:
    """The parts share their weights with the whole."""

    backbone: Any
    """Pictures float32 ``[N, size, size, 3]`` in 0…255 → feature map ``[N, h, w, F]``."""
    front: Any
    """Pictures → what the head takes: the features ``[N, F]``, or the feature map."""
    head: Any
    """What it takes → logits ``[N, L]``."""
    whole: Any
    """Pictures → (features ``[N, F]``, logits ``[N, L]``), float32."""
    tuned: Any | None = None
    """Copies of the backbone's last blocks (``model_training.networks.tuned``), where there are some."""

    def upper_layers(self, share: float) -> list[Any]:
        """The backbone's last layers with weights that learn, ``share`` of them, rounded up.

        Layers of batch norm are not among them: they are kept as they are, in inference mode, because
        the statistics of few pictures would spoil those that the other weights were trained with.
        """
        from keras.layers import BatchNormalization  # noqa: PLC0415 - importing Keras takes seconds

        layers = [
            layer
            for layer in _leaves(self.backbone)
            if layer.trainable_weights and not isinstance(layer, BatchNormalization)
        ]
        return layers[len(layers) - math.ceil(share * len(layers)) :]


def _leaves(model: Any) -> Iterator[Any]:
    """The layers in order, those of a model inside the model in its place."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer


@contextmanager
def _computing_in(precision: Precision) -> Iterator[None]:
    from keras import config  # noqa: PLC0415

    before = config.dtype_policy()
    config.set_dtype_policy("float32" if precision == "none" else f"mixed_{precision}")
    try:
        yield
    finally:
        config.set_dtype_policy(before)


def build_network(
    config: NetworkConfig,
    *,
    size: int,
    labels: tuple[str, ...],
    precision: Precision = "none",
    tuned_blocks: int = 0,
) -> Network:
    """The network with the backbone's weights, the head's drawn at random (Keras' seed decides).

    Args:
        config: Which backbone, which weights, which head.
        size: Pixels at a side.
        labels: What the logits are of, as slugs.
        precision: What the backbone computes in; weights and answers are float32 always.
        tuned_blocks: How many of the last blocks of an EfficientNet-Lite are copied, to be tuned.

    Raises:
        ConfigError: there is no such backbone, it takes no pictures of that size, or the head does not go
            with it.
        WeightsError: its weights are not there or do not fit.
    """
    load_tensorflow()
    classes = None
    if config.head == "class-odds":
        classes = classes_of(config.backbone, config.weights, labels)
    with _computing_in(precision):
        backbone = build_backbone(config.backbone, size=size, weights=config.weights)
        tuned = None
        if tuned_blocks:
            variant, _ = LITE[config.backbone]
            below = efficientnet_lite.fork(variant, backbone, tuned_blocks)
            tuned = below, build_tuned(variant, backbone, tuned_blocks, len(labels))
        return assembled(backbone, config.head, len(labels), classes, tuned)


def assembled(
    backbone: Any,
    head: Kind,
    labels: int,
    classes: Classes | None = None,
    tuned: tuple[Any, Any] | None = None,
) -> Network:
    """A backbone with a new head, whose weights are drawn at random (Keras' seed decides).

    Args:
        backbone: A ``keras.Model`` called ``backbone``: pictures → feature map.
        head: Which kind.
        labels: How many logits.
        classes: For a head of ``class-odds``: those that the backbone was trained with.
        tuned: A tensor inside the backbone, and what :func:`build_tuned` makes of it.
    """
    from keras import Input, Model, layers  # noqa: PLC0415

    images = Input(backbone.input_shape[1:], name="images", dtype="float32")
    found, below = _forked(backbone, None if tuned is None else tuned[0])(images)
    # Does nothing but say that whatever comes out of a mixed backbone goes on as float32.
    feature_map = layers.Activation("linear", dtype="float32", name="feature_map")(found)
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(feature_map)
    taken = feature_map if takes_map(head) else features
    answering = build_head(head, tuple(taken.shape[1:]), labels, classes)
    logits = answering(taken)
    if tuned is None:
        whole = Model(images, [features, logits], name="network")
        return Network(backbone, Model(images, taken), answering, whole)
    logits = layers.Add(name="with_tuned")([logits, tuned[1]([below, features])])
    whole = Model(images, [features, logits], name="network")
    return Network(backbone, Model(images, taken), answering, whole, tuned[1])


def _forked(backbone: Any, fork: Any) -> Callable[[Any], tuple[Any, Any]]:
    """Pictures → the feature map, and what a tensor inside the backbone is, where one is asked for."""
    from keras import Model  # noqa: PLC0415

    if fork is None:
        return lambda images: (backbone(images), None)
    both = Model(backbone.input, [backbone.output, fork], name="backbone")
    return lambda images: tuple(both(images))


def load_network(path: Path) -> Any:
    """The network that a run has written: pictures → (features, logits).

    Raises:
        OSError: there is none.
        ValueError: the file is damaged.
    """
    load_tensorflow()
    from keras import saving  # noqa: PLC0415

    for layers in ("attention", "odds_layer"):  # makes them known to Keras
        importlib.import_module(f"model_training.networks.{layers}")
    return saving.load_model(path, compile=False)


def folded(network: Any, backbone: str) -> Any:
    """The same function with batch norm folded into the convolutions, where the backbone allows it.

    Args:
        network: What :func:`load_network` gave.
        backbone: Name of its backbone: EfficientNet-Lite is folded, any other stays as it is.

    Returns:
        A ``keras.Model``: pictures → (features, logits).
    """
    if backbone not in LITE:
        return network
    from keras import Input, Model  # noqa: PLC0415

    variant, _ = LITE[backbone]
    bare = efficientnet_lite.folded(variant, network.get_layer("backbone"))
    images = Input(network.input_shape[1:], name="images")
    tuned = tuned_of(network)
    fork = None
    if tuned is not None:
        fork = efficientnet_lite.fork(variant, bare, blocks_of(tuned.get_layer("upper")))
    found, below = _forked(bare, fork)(images)
    feature_map = network.get_layer("feature_map")(found)
    features = network.get_layer("features")(feature_map)
    head = network.get_layer("head")
    taken = feature_map if len(head.input_shape) == 4 else features
    logits = head(taken)
    if tuned is not None:
        logits = logits + tuned([below, features])
    return Model(images, [features, logits], name="network")


def tuned_of(network: Any) -> Any:
    """The copies of the backbone's last blocks in what :func:`load_network` gave; None: it has none."""
    return next((layer for layer in network.layers if layer.name == "tuned"), None)
