"""EfficientNet-Lite in Keras, and batch norm folded into its convolutions.

The architecture is the one of Google's EfficientNet-Lite release (Apache-2.0): EfficientNet (Tan and
Le, 2019, arXiv:1905.11946) without squeeze-and-excitation, with ReLU6 for swish, and with stem and
head left unscaled. TensorFlow's ``SAME`` padding pads more at the bottom and right, and the weights
were trained with it: symmetric padding costs accuracy silently.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.weights import State

FEATURES = 1280
CLASSES = 1000
INPUT_MEAN = 127.0
INPUT_SCALE = 128.0
EPSILON = 1e-3

_STEM = 32


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the family: how much wider and deeper than EfficientNet-B0, and its input in pixels."""

    name: str
    width: float
    depth: float
    size: int


LITE0 = Variant("efficientnet-lite0", width=1.0, depth=1.0, size=224)
LITE2 = Variant("efficientnet-lite2", width=1.1, depth=1.2, size=260)


@dataclass(frozen=True, slots=True)
class _Stage:
    kernel: int
    stride: int
    expand: int
    filters: int
    repeats: int


# Unscaled, as in EfficientNet-B0.
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)


@dataclass(frozen=True, slots=True)
class Block:
    """One inverted bottleneck, as built. ``torch_name`` is its prefix in the PyTorch state."""

    name: str
    torch_name: str
    kernel: int
    stride: int
    expand: int
    filters_in: int
    filters: int

    @property
    def skip(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.filters_in == self.filters


def _scaled_filters(filters: int, width: float) -> int:
    """Channels times the width factor, to the nearest multiple of 8 that loses at most a tenth."""
    wanted = filters * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def blocks(variant: Variant) -> Iterator[Block]:
    """The bottlenecks in order. The first and the last stage are not repeated more often than in B0."""
    index, filters_in = 0, _STEM
    for position, stage in enumerate(_STAGES):
        edge = position in {0, len(_STAGES) - 1}
        repeats = stage.repeats if edge else math.ceil(stage.repeats * variant.depth)
        filters = _scaled_filters(stage.filters, variant.width)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            yield Block(
                f"block{index}", f"_blocks.{index}", stage.kernel, stride, stage.expand, filters_in, filters
            )
            index, filters_in = index + 1, filters


def build(
    variant: Variant, *, batch_norm: bool = True, size: int | None = None, classify: bool = True
) -> Any:
    """The network without weights.

    Args:
        variant: Which of the family.
        batch_norm: False builds the folded form: convolutions with a bias and no batch norm.
        size: Pixels at a side; None: those that the variant was trained with.
        classify: False leaves out the pooling and the 1,000 classes.

    Returns:
        A ``keras.Model``: float32 RGB ``[N, size, size, 3]`` in 0…255 → features ``[N, 1280]`` and
        logits ``[N, 1000]``, or where it does not classify: the feature map ``[N, h, w, 1280]``.
    """
    from keras import Input, Model, layers  # noqa: PLC0415 - importing Keras takes seconds

    add = _Parts(batch_norm)
    side = variant.size if size is None else size
    model_name = variant.name.replace("-", "_")
    images = Input((side, side, 3), name="images")
    x = layers.Rescaling(1 / INPUT_SCALE, offset=-INPUT_MEAN / INPUT_SCALE, name="normalise")(images)
    x = add.relu6(add.convolution(x, "stem", _STEM, 3, 2))
    for block in blocks(variant):
        x = add.bottleneck(x, block)
    x = add.relu6(add.convolution(x, "head", FEATURES, 1, 1))
    if not classify:
        return Model(images, x, name=model_name)
    features = layers.GlobalAveragePooling2D(name="features")(x)
    logits = layers.Dense(CLASSES, name="logits")(features)
    return Model(images, [features, logits], name=model_name)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Adds the parts that all of the family are made of."""

    batch_norm: bool

    def convolution(self, x: Any, name: str, filters: int, kernel: int, stride: int) -> Any:
        from keras import layers  # noqa: PLC0415

        layer = layers.Conv2D(
            filters, kernel, strides=stride, padding="same", use_bias=not self.batch_norm, name=name
        )
        return self._normalised(layer(x), name)

    def bottleneck(self, x: Any, block: Block) -> Any:
        from keras import layers  # noqa: PLC0415

        y = x
        if block.expand != 1:
            expanded = block.filters_in * block.expand
            y = self.relu6(self.convolution(y, f"{block.name}_expand", expanded, 1, 1))
        y = self.relu6(self._depthwise(y, f"{block.name}_depthwise", block.kernel, block.stride))
        y = self.convolution(y, f"{block.name}_project", block.filters, 1, 1)
        return layers.Add(name=f"{block.name}_skip")([x, y]) if block.skip else y

    def relu6(self, x: Any) -> Any:
        from keras import layers  # noqa: PLC0415

        return layers.ReLU(max_value=6.0)(x)

    def _depthwise(self, x: Any, name: str, kernel: int, stride: int) -> Any:
        from keras import layers  # noqa: PLC0415

        layer = layers.DepthwiseConv2D(
            kernel, strides=stride, padding="same", use_bias=not self.batch_norm, name=name
        )
        return self._normalised(layer(x), name)

    def _normalised(self, x: Any, name: str) -> Any:
        from keras import layers  # noqa: PLC0415

        return layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(x) if self.batch_norm else x


def _torch_names(variant: Variant) -> Iterator[tuple[str, str, str]]:
    """(our layer, PyTorch convolution, PyTorch batch norm) of every convolution."""
    yield "stem", "_conv_stem", "_bn0"
    for block in blocks(variant):
        if block.expand != 1:
            yield f"{block.name}_expand", f"{block.torch_name}._expand_conv", f"{block.torch_name}._bn0"
        yield f"{block.name}_depthwise", f"{block.torch_name}._depthwise_conv", f"{block.torch_name}._bn1"
        yield f"{block.name}_project", f"{block.torch_name}._project_conv", f"{block.torch_name}._bn2"
    yield "head", "_conv_head", "_bn1"


def _kernel(state: State, layer: str, torch_name: str) -> NDArray[np.float32]:
    """PyTorch's ``[O, I, H, W]`` as Keras wants it: ``[H, W, I, O]``, depthwise ``[H, W, C, 1]``."""
    weight = state[f"{torch_name}.weight"]
    return weight.transpose((2, 3, 0, 1) if layer.endswith("_depthwise") else (2, 3, 1, 0))


def _classifies(model: Any) -> bool:
    return any(layer.name == "logits" for layer in model.layers)


def load_state(variant: Variant, model: Any, state: State) -> None:
    """Set the weights of a network with batch norm from a PyTorch state."""
    for layer, conv, norm in _torch_names(variant):
        model.get_layer(layer).set_weights([_kernel(state, layer, conv)])
        model.get_layer(f"{layer}_bn").set_weights(
            [state[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
        )
    if _classifies(model):
        model.get_layer("logits").set_weights([state["_fc.weight"].T, state["_fc.bias"]])


def folded(variant: Variant, model: Any) -> Any:
    """The same function without batch norm: each one is a scale and a shift of the convolution before it.

    With γ, β, μ, σ² of the batch norm: kernel' = kernel · γ / √(σ² + ε), bias' = β - μ · γ / √(σ² + ε).
    Computed in double precision; the logits move by about 1e-6.

    Args:
        variant: Which of the family it is.
        model: What :func:`build` built with batch norm, weights set.

    Returns:
        A new ``keras.Model`` with the inputs and outputs of the old one.
    """
    bare = build(variant, batch_norm=False, size=model.input_shape[1], classify=_classifies(model))
    for layer, _, _ in _torch_names(variant):
        bare.get_layer(layer).set_weights(_folded_weights(model, layer))
    if _classifies(model):
        bare.get_layer("logits").set_weights(model.get_layer("logits").get_weights())
    return bare


def _folded_weights(model: Any, layer: str) -> list[NDArray[np.float32]]:
    """Kernel and bias of a convolution with the batch norm after it folded in, if it has one."""
    weights: list[NDArray[np.float32]] = model.get_layer(layer).get_weights()
    if len(weights) == 2:
        return weights
    (kernel,) = weights
    gamma, beta, mean, variance = (w.astype(np.float64) for w in model.get_layer(f"{layer}_bn").get_weights())
    scale = gamma / np.sqrt(variance + EPSILON)
    per_output = scale[:, None] if layer.endswith("_depthwise") else scale
    return [(kernel * per_output).astype(np.float32), (beta - mean * scale).astype(np.float32)]


def fork(variant: Variant, model: Any, count: int) -> Any:
    """What goes into the last ``count`` blocks of a network: a tensor ``[N, h, w, C]`` of its graph.

    Args:
        variant: Which of the family it is.
        model: What :func:`build` or :func:`folded` gave.
        count: Blocks above the fork.
    """
    return model.get_layer(f"{_last(variant, count)[0].name}_expand").input


def build_upper(variant: Variant, count: int, shape: tuple[int, ...]) -> Any:
    """The last ``count`` blocks and the convolution after them, folded, without weights.

    Args:
        variant: Which of the family.
        count: Blocks.
        shape: Of what goes in, without the batch: ``(h, w, C)``.

    Returns:
        A ``keras.Model`` called ``upper``: what :func:`fork` names → the feature map ``[N, h, w, 1280]``.
    """
    from keras import Input, Model  # noqa: PLC0415

    add = _Parts(batch_norm=False)
    x = below = Input(shape, name="fork")
    for block in _last(variant, count):
        x = add.bottleneck(x, block)
    return Model(below, add.relu6(add.convolution(x, "head", FEATURES, 1, 1)), name="upper")


def copy_upper(model: Any, upper: Any) -> None:
    """Give :func:`build_upper`'s network the weights that another has there, batch norm folded."""
    for layer in upper.layers:
        if layer.weights:
            layer.set_weights(_folded_weights(model, layer.name))


def _last(variant: Variant, count: int) -> list[Block]:
    return list(blocks(variant))[-count:]
