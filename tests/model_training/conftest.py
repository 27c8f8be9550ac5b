"""Real pictures and the exported default model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage

from model_training.serving_protos import tf

SIZE = 260


@pytest.fixture(scope="session")
def photos() -> dict[str, Any]:
    """Two photographs of scikit-image as the default model gets them: uint8 RGB ``[260, 260, 3]``.

    Both are PNG, so every decoder gives the same pixels.
    """
    folder = Path(skimage.__file__).parent / "data"
    found = {}
    for name in ("chelsea", "coffee"):
        pixels = cv2.cvtColor(cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        found[name] = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return found


@pytest.fixture(scope="session")
def reference_logits() -> dict[str, Any]:
    """1,000 logits of each photograph, computed with PyTorch; how: ``test_networks.py``."""
    with np.load(Path(__file__).parent / "reference_logits.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def version_dir(model_dir: Path) -> Path:
    """The default model's version folder."""
    return model_dir / "tagger" / "1"


@pytest.fixture(scope="session")
def exported(version_dir: Path) -> Any:
    """The default model's signatures, loaded by TensorFlow."""
    return tf.saved_model.load(str(version_dir))


@pytest.fixture(scope="session")
def extras(version_dir: Path) -> dict[str, Any]:
    """``assets.extra/*.json`` by name."""
    folder = version_dir / "assets.extra"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
