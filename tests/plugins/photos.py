"""Real photographs out of installed packages, and as many of them as a test wants."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest
from PIL import Image

_NAMES = {
    "sklearn": ("china.jpg", "flower.jpg"),
    "skimage": (
        *("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "rocket.jpg"),
        *("hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "motorcycle_right.png", "brick.png"),
        *("grass.png", "gravel.png", "clock_motion.png", "retina.jpg", "ihc.png", "cell.png", "page.png"),
    ),
}
_FOLDERS = {"sklearn": "datasets/images", "skimage": "data"}


def package_photos() -> list[Path]:
    """Twenty different photographs: a temple, a flower, an astronaut, a cat, a cup of coffee, a rocket …"""
    paths = []
    for package, names in _NAMES.items():
        spec = importlib.util.find_spec(package)
        assert spec is not None, f"{package} is a development dependency"
        assert spec.origin is not None
        paths += [Path(spec.origin).parent / _FOLDERS[package] / name for name in names]
    missing = [path for path in paths if not path.is_file()]
    assert not missing, missing
    return paths


def write_photos(folder: Path, count: int, *, seed: int = 1, long_side: int = 640) -> list[Path]:
    """Write ``count`` JPEGs, each another crop of one of the photographs, so that no two are equal."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    sources = [Image.open(path).convert("RGB") for path in package_photos()]
    paths = []
    for number in range(count):
        source = sources[number % len(sources)]
        share = chance.uniform(0.6, 0.95)
        width, height = int(source.width * share), int(source.height * share)
        left, top = chance.randint(0, source.width - width), chance.randint(0, source.height - height)
        scale = long_side / max(width, height)
        crop = source.resize(
            (round(width * scale), round(height * scale)), box=(left, top, left + width, top + height)
        )
        path = folder / f"photo_{number:04}.jpg"
        crop.save(path, quality=88, comment=f"{seed}.{number}".encode())
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """The twenty photographs; do not change the files."""
    return package_photos()
