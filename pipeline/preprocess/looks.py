"""What a picture looks like in a few bytes: a fingerprint that survives re-encoding, and its main colours.

Both come from one small version, made of the network's pixels: those are the whole picture, squashed, in
sRGB and upright already, and cost a tenth of what the preview would. Another size of the network changes a
fingerprint by a bit or two, as recompression does.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.preprocess.pixels import PreparedPicture

# A multiple of 9 × 8, so that each cell of the fingerprint is a mean of whole pixels.
_WIDTH, _HEIGHT = 72, 64
_COLUMNS, _ROWS = 9, 8
# Grey levels of 255 that the right one of two neighbours must be lighter by. Where a picture is flat, noise
# would decide otherwise.
_STEP = 2.0
# A picture with fewer bits of either kind, such as a plain one, is nearly the same as thousands of others.
_LEAST_BITS = 4
# Most significant first: the bits of the diagonals (row + column) mod 4, one after the other. Neighbours are
# alike, so a band of 16 bits of one diagonal tells more pictures apart than one of two rows.
_BIT_ORDER = np.concatenate(
    [
        np.flatnonzero(np.add.outer(np.arange(_ROWS), np.arange(_COLUMNS - 1)) % 4 == diagonal)
        for diagonal in range(4)
    ]
)

MOST_COLOURS = 4
_NEUTRAL = ("black", "grey", "white")
# Share of the picture from which a colour is one of its main ones: a spot of red is seen, one of grey is not.
_LEAST_SHARE, _LEAST_NEUTRAL_SHARE = 0.05, 0.15
# A vivid shade counts up to three times: it is what people remember of a picture.
_VIVIDNESS = 6.0
# The eye tells hues apart better than lightness: navy, sky and steel are all blue.
_LIGHTNESS_WEIGHT = 0.6
_LEVELS = 32

_SHADES: Mapping[str, str] = {
    "red": "ff0000 d7263d cc1f1f b22222 a01010 7a0c0c e2504a",
    "orange": "ff8c00 ff6a13 e07b1a ffa54f c9651a f2a25c ffd2a8",
    "yellow": "ffff00 ffd700 f4e04d e6c619 fff59d c8b400 e8d98a",
    "green": "00ff00 008000 2e8b57 6b8e23 228b22 90ee90 1b4d1b 9acd32 556b2f 3a5f2a 7cb342 8fbc8f 2d3a1e",
    "teal": "008080 00ced1 40e0d0 20b2aa 00ffff 004d4d 5f9ea0 7fffd4 2f6f73",
    "blue": "0000ff 1e90ff 00008b 4169e1 87ceeb 4682b4 6495ed 1f3a5f add8e6 9ec5e8 12213f 6f8fb3",
    "purple": "800080 8a2be2 9370db 4b0082 6a0dad b39ddb d8b0e8 5e3370 8e6a9e",
    "pink": "ffc0cb ff69b4 ff1493 e75480 f4a6c0 ff00ff c71585 f2c4ce",
    "brown": "8b4513 5c3317 a0522d 6f4e37 3e2714 c19a6b 9b7653 a67b5b 8a6f4d d2691e",
    "black": "000000 0f0f0f 1a1a1a 242424",
    "grey": "4a4a4a 5f5f5f 757575 8a8a8a a0a0a0 b5b5b5 cacaca 57514a 8c857b b8b0a4",
    "white": "ffffff f6f6f6 ebebeb f5f5e8 eef3f7",
}
"""Name of a colour → shades that people call so, as RRGGBB of sRGB."""

COLOUR_NAMES = tuple(_SHADES)
"""In the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Looks:
    """What a picture looks like."""

    fingerprint: int | None
    """A difference hash: 64 bits as a signed number, of which recompression and resizing change a few. None:
    the picture has too little structure to be told from others by it."""
    colours: tuple[str, ...]
    """Names out of :data:`COLOUR_NAMES`: one to four, the largest share first."""


def looks_of(picture: PreparedPicture) -> Looks:
    """Fingerprint and main colours of a prepared picture; they depend on its pixels alone."""
    small = np.asarray(
        cv2.resize(picture.pixels, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    return Looks(fingerprint=_fingerprint(small), colours=_colours(small))


def _fingerprint(small: NDArray[np.uint8]) -> int | None:
    """Of uint8 RGB ``[64, 72, 3]``: whether it gets lighter from each cell of 9 × 8 to the next."""
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    cells = grey.reshape(_ROWS, _HEIGHT // _ROWS, _COLUMNS, _WIDTH // _COLUMNS).mean(axis=(1, 3))
    lighter = (np.diff(cells, axis=1) > _STEP).reshape(-1)[_BIT_ORDER]
    ones = int(lighter.sum())
    if not _LEAST_BITS <= ones <= lighter.size - _LEAST_BITS:
        return None
    return int.from_bytes(np.packbits(lighter).tobytes(), "big", signed=True)


def _colours(small: NDArray[np.uint8]) -> tuple[str, ...]:
    cells = (small >> 3).astype(np.int32).reshape(-1, 3)
    cells = (cells[:, 0] * _LEVELS + cells[:, 1]) * _LEVELS + cells[:, 2]
    names, weights = _nearest_names()
    areas = np.bincount(names[cells], minlength=len(COLOUR_NAMES)) / len(cells)
    vivid = np.bincount(names[cells], weights=weights[cells], minlength=len(COLOUR_NAMES))
    # A quarter in white stays a quarter, however vivid the rest is.
    shares = np.maximum(areas, vivid / vivid.sum())
    order = np.argsort(-shares, kind="stable")
    large = [COLOUR_NAMES[index] for index in order if shares[index] >= _least_share(COLOUR_NAMES[index])]
    return tuple(large[:MOST_COLOURS]) or (COLOUR_NAMES[order[0]],)


def _least_share(name: str) -> float:
    return _LEAST_NEUTRAL_SHARE if name in _NEUTRAL else _LEAST_SHARE


@functools.cache
def _nearest_names() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """For each colour of five bits a channel, red first: its name's index and its weight; ``[32768]``."""
    names = [index for index, name in enumerate(COLOUR_NAMES) for _ in _SHADES[name].split()]
    shades = np.array([list(bytes.fromhex(shade)) for text in _SHADES.values() for shade in text.split()])
    levels = np.arange(_LEVELS) * 255 / (_LEVELS - 1)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    labs = _oklab(colours)
    distances = ((labs[:, None, :] - _oklab(shades)[None, :, :]) ** 2).sum(axis=-1)
    chroma = np.hypot(labs[:, 1], labs[:, 2])
    nearest = np.array(names, dtype=np.uint8)[distances.argmin(axis=1)]
    return nearest, np.asarray(1 + _VIVIDNESS * chroma, dtype=np.float32)


def _oklab(rgb: NDArray[np.generic]) -> NDArray[np.float32]:
    """SRGB ``[N, 3]`` of 0 to 255 as Oklab, its lightness weighted: float32 ``[N, 3]``.

    Source: Björn Ottosson, *A perceptual color space for image processing* (2020).
    """
    values = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(linear @ _TO_CONES.T)
    return np.asarray((cones @ _TO_LAB.T) * (_LIGHTNESS_WEIGHT, 1, 1), dtype=np.float32)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
