"""The derived sizes that people see, encoded as JPEG."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.preprocess.pixels import PreparedPicture, shrink

QUALITY = 82

# A justified grid has rows of one height: 360 pixels is a row of 180 on a display of double density,
# and makes a picture of 4:3 480 wide. The width bounds panoramas.
_GRID_WIDTH, _GRID_HEIGHT = 960, 360

_PLACEHOLDER_SIDE = 24
_PLACEHOLDER_QUALITY = 50


@dataclass(frozen=True, slots=True)
class EncodedRendition:
    """A derived size as a file."""

    name: str
    """File name beside the original, such as ``grid.jpg``."""
    data: bytes
    media_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Renditions:
    """Everything that is shown instead of the original."""

    grid: EncodedRendition
    preview: EncodedRendition
    placeholder: str
    """A JPEG with a long side of 24 pixels as a ``data:`` address."""

    @property
    def files(self) -> tuple[EncodedRendition, ...]:
        """Those that are stored."""
        return (self.grid, self.preview)


def renditions(picture: PreparedPicture) -> Renditions:
    """Derive and encode all sizes of a picture; none is ever enlarged."""
    grid = shrink(picture.preview, _GRID_WIDTH, _GRID_HEIGHT)
    tiny = shrink(grid, _PLACEHOLDER_SIDE, _PLACEHOLDER_SIDE)
    placeholder = base64.b64encode(_jpeg(tiny, _PLACEHOLDER_QUALITY, small=True)).decode("ascii")
    return Renditions(
        grid=_rendition("grid.jpg", grid),
        preview=_rendition("preview.jpg", picture.preview),
        placeholder=f"data:image/jpeg;base64,{placeholder}",
    )


def _rendition(name: str, pixels: NDArray[np.uint8]) -> EncodedRendition:
    height, width = pixels.shape[:2]
    return EncodedRendition(name, _jpeg(pixels, QUALITY), "image/jpeg", width, height)


def _jpeg(pixels: NDArray[np.uint8], quality: int, *, small: bool = False) -> bytes:
    # Tables of its own make a file of 24 pixels half as large; for a large one they double the time.
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, int(small)]
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), settings)
    if not encoded:
        raise RuntimeError("OpenCV could not encode a JPEG")
    return data.tobytes()
