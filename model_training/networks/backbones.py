"""Backbones: what turns pictures into a feature map, with the normalisation of the pixels inside.

``efficientnet-lite0`` and ``efficientnet-lite2`` are ours, with weights from packages. Any network of
``keras.applications`` goes by its name there, with weights from a file: nothing is downloaded.
"""

from __future__ import annotations

import difflib
import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_training.config import ConfigError
from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import LITE0, LITE2, Variant
from model_training.weights import (
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE2,
    State,
    WeightsError,
    WeightsPackage,
    package_state,
    read_legacy_torch,
)

Weights = Path | Literal["package", "random"]

LITE: dict[str, tuple[Variant, WeightsPackage]] = {
    LITE0.name: (LITE0, EFFICIENTNET_LITE0),
    LITE2.name: (LITE2, EFFICIENTNET_LITE2),
}


def build_backbone(name: str, *, size: int, weights: Weights) -> Any:
    """A backbone with its weights.

    Args:
        name: ``efficientnet-lite0``, ``efficientnet-lite2`` or a name of ``keras.applications``.
        size: Pixels at a side of the pictures.
        weights: ``package``: of the installed package; ``random``; or a file: ``.pth`` of PyTorch
            (EfficientNet-Lite), or what Keras loads (``.weights.h5``, ``.keras``, ``.h5``, without the top).

    Returns:
        A ``keras.Model`` called ``backbone``: float32 RGB ``[N, size, size, 3]`` in 0…255 → the feature
        map ``[N, h, w, F]``, in the precision of Keras' policy.

    Raises:
        ConfigError: there is no such backbone, or it takes no pictures of that size.
        WeightsError: the weights are not there or do not fit.
    """
    if name in LITE:
        return _lite(*LITE[name], size=size, weights=weights)
    return _application(name, size=size, weights=weights)


def _lite(variant: Variant, package: WeightsPackage, *, size: int, weights: Weights) -> Any:
    model = efficientnet_lite.build(variant, size=size, classify=False)
    if weights == "package":
        efficientnet_lite.load_state(variant, model, package_state(package))
    elif isinstance(weights, Path) and weights.suffix == ".pth":
        try:
            efficientnet_lite.load_state(variant, model, _torch_state(weights))
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{weights} holds no weights of {variant.name}: {error}") from error
    elif isinstance(weights, Path):
        _load(model, weights)
    model.name = "backbone"
    return model


def _torch_state(path: Path) -> State:
    try:
        with path.open("rb") as stream:
            return read_legacy_torch(stream)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error


def _load(model: Any, path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"there are no weights at {path}")
    try:
        model.load_weights(path)
    except (ValueError, KeyError, OSError, pickle.UnpicklingError) as error:
        raise WeightsError(f"{path} does not fit {model.name} without its top: {error}") from error


def _factory(name: str) -> tuple[Callable[..., Any], Any]:
    """What builds a network of ``keras.applications``, and the module with its ``preprocess_input``."""
    from keras import applications  # noqa: PLC0415 - importing Keras takes seconds

    names = [n for n in dir(applications) if n[:1].isupper() and callable(getattr(applications, n))]
    if name not in names:
        close = difflib.get_close_matches(name, [*LITE, *names], n=3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"network.backbone: there is no {name!r} in keras.applications{hint}")
    factory = getattr(applications, name)
    return factory, importlib.import_module(factory.__module__)


def _application(name: str, *, size: int, weights: Weights) -> Any:
    from keras import Input, Model, layers  # noqa: PLC0415

    factory, module = _factory(name)
    if weights == "package":
        raise ConfigError(
            f"network.weights: no package carries weights of {name} (only of {', '.join(LITE)}); name a file "
            "of weights without the top, or say 'random'"
        )
    try:
        network = factory(include_top=False, weights=None, input_shape=(size, size, 3))
    except ValueError as error:
        raise ConfigError(f"network.backbone: {name} takes no pictures of {size} px: {error}") from error
    if isinstance(weights, Path):
        _load(network, weights)
    matrix, offset = preprocessing(module.preprocess_input)
    if np.array_equal(matrix, np.eye(3)) and not offset.any():
        network.name = "backbone"
        return network
    images = Input((size, size, 3), name="images", dtype="float32")
    # In float32 whatever the policy: float16 has too few digits for pixels with a mean taken off.
    normalise = layers.Conv2D(3, 1, name="normalise", trainable=False, dtype="float32")
    pixels = normalise(images)
    normalise.set_weights([matrix[None, None], offset])
    return Model(images, network(pixels), name="backbone")


def preprocessing(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a ``preprocess_input`` of Keras does to the three channels of a pixel.

    All of them are affine (a scale and a shift of each channel, and for some the channels reversed), so
    four probes tell everything, and the network can hold it.

    Returns:
        ``matrix`` ``[3, 3]`` and ``offset`` ``[3]`` with f(pixel) = pixel · matrix + offset.
    """
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    black, *primaries = np.asarray(function(probes.reshape(1, 1, 4, 3).copy()), np.float64).reshape(4, 3)
    matrix = (np.stack(primaries) - black) / 255
    return matrix.astype(np.float32), black.astype(np.float32)
