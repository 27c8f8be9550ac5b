"""From the colours of a file to sRGB on white."""

from __future__ import annotations

import functools
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_MODE_OF_SPACE = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}

# Transforms are shared between decode threads, and LittleCMS's one-pixel cache is not safe there.
_FLAGS = ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION
_TRANSFORMS_KEPT = 16


def to_srgb(pixels: NDArray[np.uint8], profile: bytes) -> NDArray[np.uint8]:
    """Convert uint8 RGB ``[H, W, 3]`` from an ICC profile to sRGB.

    A profile that cannot be read, or that is not one for RGB or grey pixels, is ignored, as every
    viewer does: wrong shades are better than no picture.
    """
    transform = transform_to_srgb(profile)
    if transform is None or transform.input_mode not in {"RGB", "L"}:
        return pixels
    if transform.input_mode == "L":
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    else:
        image = Image.fromarray(pixels)
    return np.asarray(transform.apply(image))


@functools.lru_cache(maxsize=_TRANSFORMS_KEPT)
def transform_to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """LittleCMS's transform to sRGB; None where there is nothing to do or nothing to go by."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODE_OF_SPACE.get(source.profile.xcolor_space)
        if mode is None or (mode == "RGB" and _says_srgb(source)):
            return None
        return _transform(source, mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """For TIFFs in CIE Lab, which name no profile because Lab is absolute."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=_FLAGS,
    )


def _says_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    description = profile.profile.profile_description or ""
    return description.strip().lower().startswith("srgb")


def on_white(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite uint8 ``[H, W, 4]`` (straight alpha, any channel order) on white: uint8 ``[H, W, 3]``."""
    # The web process asks this module for transforms alone, and has no OpenCV.
    import cv2  # noqa: PLC0415

    premultiplied = cv2.cvtColor(bgra, cv2.COLOR_RGBA2mRGBA)
    background = cv2.cvtColor(cv2.bitwise_not(bgra[..., 3]), cv2.COLOR_GRAY2BGR)
    # Both are rounded to nearest, so their sum can pass 255 by one: cv2.add saturates.
    return np.asarray(cv2.add(cv2.cvtColor(premultiplied, cv2.COLOR_BGRA2BGR), background), dtype=np.uint8)
