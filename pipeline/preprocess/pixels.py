"""From the bytes of a picture to what the network and the eye get: training and serving both call this."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.messages import FailureReason
from pipeline.ports import PreprocessSpec
from pipeline.preprocess.colour import to_srgb
from pipeline.preprocess.decode import decode, opencv_is_right
from pipeline.preprocess.errors import (
    BadPictureError,
    RefusalReason,
    RefusedPictureError,
    UnsupportedSpecError,
)
from pipeline.preprocess.header import DEFAULT_LIMITS, Header, Limits, open_picture
from pipeline.preprocess.memory import DECODING_MEMORY, MemoryBudget, decoding_bytes

PREVIEW_SIDE = 1600
"""Long side of the preview in pixels."""

_LARGEST_INPUT = 4096

_INTERPOLATIONS = {"area": cv2.INTER_AREA}
_FITS = ("squash",)

_FAILURE_OF_REFUSAL = {
    RefusalReason.EMPTY: FailureReason.CORRUPT,
    RefusalReason.TOO_MANY_BYTES: FailureReason.TOO_LARGE,
    RefusalReason.TOO_MANY_PIXELS: FailureReason.TOO_LARGE,
    RefusalReason.NOT_A_PICTURE: FailureReason.CORRUPT,
    RefusalReason.UNSUPPORTED_FORMAT: FailureReason.UNSUPPORTED,
}

# How many clockwise quarter turns bring each EXIF orientation upright, after mirroring left to right.
_UPRIGHT: dict[int, tuple[bool, int]] = {
    1: (False, 0),
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 3),
    6: (False, 1),
    7: (True, 1),
    8: (False, 3),
}
_QUARTER_TURNS = {1: cv2.ROTATE_90_CLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A decoded picture, upright, in sRGB, on white."""

    header: Header
    pixels: NDArray[np.uint8]
    """For the network: uint8 RGB ``[spec.height, spec.width, 3]``."""
    preview: NDArray[np.uint8]
    """For people: uint8 RGB ``[H, W, 3]``, long side at most :data:`PREVIEW_SIDE`, never enlarged."""

    @property
    def width(self) -> int:
        """Of the whole picture in pixels, as people see it."""
        return self.header.width

    @property
    def height(self) -> int:
        """Of the whole picture in pixels, as people see it."""
        return self.header.height


def check_supported(spec: PreprocessSpec) -> None:
    """Refuse a model whose preprocess this code cannot do.

    Raises:
        UnsupportedSpecError: naming what is unknown.
    """
    if spec.fit not in _FITS:
        raise UnsupportedSpecError(f"preprocess {spec.id!r} asks for an unknown fit: {spec.fit!r}")
    if spec.interpolation not in _INTERPOLATIONS:
        raise UnsupportedSpecError(
            f"preprocess {spec.id!r} asks for an unknown interpolation: {spec.interpolation!r}"
        )
    if not (1 <= spec.width <= _LARGEST_INPUT and 1 <= spec.height <= _LARGEST_INPUT):
        raise UnsupportedSpecError(f"preprocess {spec.id!r} asks for {spec.width} × {spec.height} pixels")


def prepare(
    data: bytes,
    spec: PreprocessSpec,
    *,
    limits: Limits = DEFAULT_LIMITS,
    memory: MemoryBudget = DECODING_MEMORY,
) -> PreparedPicture:
    """Decode a picture once and derive what the network and the renditions need.

    The network's pixels depend on the bytes and the spec alone, so asking again gives the same answer.
    ``fit="squash"``: the whole picture, whatever its proportions, becomes ``spec.width × spec.height``.

    Args:
        data: the whole file.
        spec: what the network asks for.
        limits: what is accepted.
        memory: shared with whoever decodes beside us; we wait until there is enough.

    Raises:
        BadPictureError: the picture's fault.
        UnsupportedSpecError: the model's fault.
    """
    check_supported(spec)
    try:
        image, header = open_picture(io.BytesIO(data), limits=limits)
    except RefusedPictureError as error:
        raise BadPictureError(_FAILURE_OF_REFUSAL[error.reason], error.message) from error
    scale = decoding_scale(header.width, header.height, spec)
    needed = decoding_bytes(data, image, header, scale, by_opencv=opencv_is_right(image, header))
    with memory.hold(needed):
        with closing(image):
            decoded = decode(data, image, header, scale)
        swapped = decoded.orientation >= 5
        width, height = (spec.height, spec.width) if swapped else (spec.width, spec.height)
        resized = cv2.resize(
            decoded.pixels, (width, height), interpolation=_INTERPOLATIONS[spec.interpolation]
        )
        preview = shrink(decoded.pixels, PREVIEW_SIDE, PREVIEW_SIDE)
        orientation, profile = decoded.orientation, decoded.profile
        del decoded
    return PreparedPicture(
        header=header,
        pixels=_finished(np.asarray(resized, dtype=np.uint8), orientation, profile),
        preview=_finished(preview, orientation, profile),
    )


def decoding_scale(width: int, height: int, spec: PreprocessSpec) -> int:
    """The smallest libjpeg scale 1/N that serves both the preview and twice the network's input.

    Args:
        width: of the whole picture in pixels, as people see it.
        height: likewise.
        spec: the network's input.
    """
    for scale in (8, 4, 2):
        reduced_width, reduced_height = -(-width // scale), -(-height // scale)
        if (
            max(reduced_width, reduced_height) >= PREVIEW_SIDE
            and reduced_width >= 2 * spec.width
            and reduced_height >= 2 * spec.height
        ):
            return scale
    return 1


def shrink(pixels: NDArray[np.uint8], max_width: int, max_height: int) -> NDArray[np.uint8]:
    """Fit uint8 RGB ``[H, W, 3]`` into a box, keeping its proportions; never enlarges."""
    height, width = pixels.shape[:2]
    factor = max(width / max_width, height / max_height)
    if factor <= 1:
        return pixels
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    # Below a factor of two linear interpolation skips no pixel, and INTER_AREA costs five times as much.
    method = cv2.INTER_LINEAR if factor < 2 else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)


def _finished(pixels: NDArray[np.uint8], orientation: int, profile: bytes) -> NDArray[np.uint8]:
    """Upright and in sRGB: the costly steps come last, on the few pixels that are left."""
    mirrored, turns = _UPRIGHT[orientation]
    upright = cv2.flip(pixels, 1) if mirrored else pixels
    if turns:
        upright = cv2.rotate(upright, _QUARTER_TURNS[turns])
    result = np.asarray(upright, dtype=np.uint8)
    return to_srgb(result, profile) if profile else result
