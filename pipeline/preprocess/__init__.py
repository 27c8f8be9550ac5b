"""The only code that turns bytes into pixels; training and serving both call it.

Reading headers needs Pillow alone. What decodes needs OpenCV too and is loaded at its first use, so
that the catalogue's web process, which has no OpenCV, can ask for :func:`read_header` here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pipeline.preprocess.errors import (
    BadPictureError,
    RefusalReason,
    RefusedPictureError,
    UnsupportedSpecError,
)
from pipeline.preprocess.exif import CameraFacts
from pipeline.preprocess.formats import PictureFormat
from pipeline.preprocess.header import DEFAULT_LIMITS, Header, Limits, read_header

if TYPE_CHECKING:
    from pipeline.preprocess.encode import EncodedRendition, Renditions, renditions
    from pipeline.preprocess.looks import COLOUR_NAMES, Looks, looks_of
    from pipeline.preprocess.pixels import PREVIEW_SIDE, PreparedPicture, check_supported, prepare

__all__ = [
    "COLOUR_NAMES",
    "DEFAULT_LIMITS",
    "PREVIEW_SIDE",
    "BadPictureError",
    "CameraFacts",
    "EncodedRendition",
    "Header",
    "Limits",
    "Looks",
    "PictureFormat",
    "PreparedPicture",
    "RefusalReason",
    "RefusedPictureError",
    "Renditions",
    "UnsupportedSpecError",
    "check_supported",
    "looks_of",
    "prepare",
    "read_header",
    "renditions",
]

_NEEDS_OPENCV = {
    "PREVIEW_SIDE": "pixels",
    "PreparedPicture": "pixels",
    "check_supported": "pixels",
    "prepare": "pixels",
    "EncodedRendition": "encode",
    "Renditions": "encode",
    "renditions": "encode",
    "COLOUR_NAMES": "looks",
    "Looks": "looks",
    "looks_of": "looks",
}


def __getattr__(name: str) -> Any:
    room = _NEEDS_OPENCV.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{room}"), name)
