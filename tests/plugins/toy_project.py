"""A folder as somebody has it who trains: the toy pictures in ``data/`` and a configuration beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.plugins.toy_pictures import ToyPictures

_CONFIG = Path(__file__).resolve().parents[1] / "model_training" / "toy.yaml"


def write_toy_project(folder: Path, pictures: ToyPictures) -> Path:
    """Write ``params.yaml`` and the pictures into a folder; returns the configuration's path."""
    shutil.copytree(pictures.images, folder / "data" / "images")
    shutil.copy(pictures.coco, folder / "data" / "coco.json")
    return Path(shutil.copy(_CONFIG, folder / "params.yaml"))
