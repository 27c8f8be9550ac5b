"""Many files of every accepted format, no two alike, a few of them bad."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.pipeline import pictures
from tests.plugins.photos import package_photos

BAD_SHARE = 0.02
"""Of the pictures: whole headers, so they are taken, and broken pixels, so they fail."""

_LONG_SIDE = 320
# Mostly what people have. The ending is what an upload's name says; contents decide.
_FORMATS = {
    "JPEG": ("jpg", 12),
    "PNG": ("png", 4),
    "WEBP": ("webp", 3),
    "TIFF": ("tiff", 1),
    "GIF": ("gif", 1),
    "BMP": ("bmp", 1),
    "HEIF": ("heic", 1),
    "AVIF": ("avif", 1),
}
# Cut off, a file of these still has its header. (A TIFF has it at the end, a WebP tells its length.)
_TRUNCATED = ("JPEG", "PNG")


@dataclass(frozen=True)
class Files:
    """What was written: names of files, unique over all folders."""

    folders: tuple[Path, ...]
    good: frozenset[str]
    bad: frozenset[str]
    """Taken at the door, failed by a worker as corrupt."""
    refused: frozenset[str]
    """No pictures at all."""


def write_mixed(folder: Path, count: int, *, shares: Sequence[int], seed: int) -> Files:
    """Write ``count`` pictures, 2 % of them bad, and a refused file more per part.

    Args:
        folder: gets one folder per part.
        count: good and bad pictures together.
        shares: over how many folders they are spread, and how much each gets.
        seed: decides everything.
    """
    chance = random.Random(seed)
    sources = [_source(path) for path in package_photos()]
    folders = tuple(folder / f"part_{part:02}" for part in range(len(shares)))
    for each in folders:
        each.mkdir(parents=True)
    places = [folder for folder, share in zip(folders, shares, strict=True) for _ in range(share)]
    bad_ones = set(chance.sample(range(count), max(1, round(count * BAD_SHARE))))
    names, weights = list(_FORMATS), [weight for _, weight in _FORMATS.values()]
    good, bad = set(), set()
    for number in range(count):
        is_bad = number in bad_ones
        kind = chance.choice(_TRUNCATED) if is_bad else chance.choices(names, weights)[0]
        data = pictures.encoded(_crop(chance, sources[number % len(sources)]), kind)
        name = f"{seed:04}_{number:05}.{_FORMATS[kind][0]}"
        (bad if is_bad else good).add(name)
        if is_bad:
            data = pictures.truncated(data, share=0.5)
        (places[number % len(places)] / name).write_bytes(data)
    refused = set()
    for part, each in enumerate(folders):
        name = f"{seed:04}_refused_{part:02}.jpg"
        (each / name).write_bytes(pictures.TEXT if part % 2 else pictures.EMPTY)
        refused.add(name)
    return Files(folders, frozenset(good), frozenset(bad), frozenset(refused))


def _source(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    image.thumbnail((2 * _LONG_SIDE, 2 * _LONG_SIDE))
    return image


def _crop(chance: random.Random, source: Image.Image) -> Image.Image:
    """Another piece of the photograph each time: contents never repeat."""
    share = chance.uniform(0.5, 0.95)
    width, height = int(source.width * share), int(source.height * share)
    left, top = chance.randint(0, source.width - width), chance.randint(0, source.height - height)
    scale = _LONG_SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    piece = source.resize(size, box=(left, top, left + width, top + height))
    # Two crops may be equal by chance; a spot of their own colour makes them differ.
    piece.putpixel((0, 0), tuple(chance.randrange(256) for _ in range(3)))
    return piece
