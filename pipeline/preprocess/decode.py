"""Bytes to pixels, once, by the decoder that is right for the format.

OpenCV decodes JPEG (at a reduced libjpeg scale), PNG and WebP. Pillow decodes what OpenCV 5.0 gets
wrong or not at all, measured: CMYK JPEG (ignores the profile), grey PNG with a transparent value,
TIFF (loses alpha, Lab, tiles), GIF, BMP, AVIF of 10 bits and HEIC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from pipeline.messages import FailureReason
from pipeline.preprocess.colour import lab_to_srgb, on_white, transform_to_srgb
from pipeline.preprocess.errors import BadPictureError
from pipeline.preprocess.formats import PictureFormat
from pipeline.preprocess.header import Header

# What hostile pictures make OpenCV say is told by the result; on stderr it would only fill disks.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

# libjpeg visits the whole picture again for every scan of a progressive file; no encoder writes more
# than some twenty, and a few megabytes of empty scans would keep a core busy for an hour.
_MOST_SCANS = 100
_STRIP_PIXELS = 2**18

_COMPOSITED_MODES = {"1", "L", "P", "PA", "LA", "La", "RGBA", "RGBa", "YCbCr", "HSV"}
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N"}
_PRINT_MODES = {"CMYK", "LAB"}

_BITS_PER_SAMPLE, _PLANAR_CONFIGURATION, _SEPARATE_PLANES = 258, 284, 2
_SOS, _EOI = 0xDA, 0xD9
_AFTER_ENTROPY_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Upright-as-stored pixels: uint8 RGB ``[H, W, 3]`` on white, and what is still to be done to them."""

    pixels: NDArray[np.uint8]
    orientation: int
    profile: bytes
    """ICC profile that the pixels are still in; empty: sRGB."""


def decode(data: bytes, image: Image.Image, header: Header, scale: int) -> Decoded:
    """Decode a picture whose header was read, at 1/``scale`` (1, 2, 4 or 8) where that is cheaper.

    Raises:
        BadPictureError: the pixels cannot be had.
    """
    profile = image.info.get("icc_profile") or b""
    try:
        if image.info.get("progressive"):
            _refuse_scan_bomb(data)
        if opencv_is_right(image, header):
            pixels = _decode_with_opencv(data, header, scale)
        else:
            pixels, profile = _decode_with_pillow(image, header, scale, profile)
    except BadPictureError:
        raise
    except MemoryError as error:
        raise BadPictureError(FailureReason.TOO_LARGE, "Decoding needs more memory than there is.") from error
    except Exception as error:
        # Decoders meet hostile input here and raise whatever they like, cv2.error to SyntaxError.
        raise _corrupt(header) from error
    # Pillow turns a TIFF upright while it loads it.
    orientation = 1 if header.format is PictureFormat.TIFF else header.camera.orientation
    _check_size(pixels, header, upright=orientation < 5)
    return Decoded(pixels, orientation, profile)


def _corrupt(header: Header) -> BadPictureError:
    return BadPictureError(
        FailureReason.CORRUPT,
        f"The {header.format.name} is damaged or cut off; its pixels cannot be decoded.",
    )


def _check_size(pixels: NDArray[np.uint8], header: Header, *, upright: bool) -> None:
    """The limits were checked against the header, so a decoder that found another picture is not believed."""
    height, width = pixels.shape[:2]
    said_width, said_height = (header.width, header.height) if upright else (header.height, header.width)
    if any(-(-said_width // s) == width and -(-said_height // s) == height for s in _REDUCED):
        return
    raise BadPictureError(FailureReason.CORRUPT, "The header and the pixels disagree about the size.")


def opencv_is_right(image: Image.Image, header: Header) -> bool:
    """Whether OpenCV decodes such a picture correctly; otherwise Pillow does it."""
    match header.format:
        case PictureFormat.JPEG:
            return image.mode in {"L", "RGB"}
        case PictureFormat.PNG:
            return image.mode in {"RGB", "RGBA", "LA", "P"} or "transparency" not in image.info
        case PictureFormat.WEBP:
            return True
        case _:
            return False


def _decode_with_opencv(data: bytes, header: Header, scale: int) -> NDArray[np.uint8]:
    buffer = np.frombuffer(data, dtype=np.uint8)
    if header.format is PictureFormat.JPEG:
        decoded = cv2.imdecode(buffer, _REDUCED[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    else:
        if header.format is PictureFormat.PNG:
            _refuse_false_chunks(data, header)
        decoded = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise _corrupt(header)
    return _rgb8(decoded)


def _refuse_false_chunks(data: bytes, header: Header) -> None:
    """Walk the chunks of a PNG (ISO/IEC 15948, section 5.3): OpenCV allocates whatever length one claims."""
    position = 8
    while position + 12 <= len(data):
        kind = data[position + 4 : position + 8]
        position += 12 + int.from_bytes(data[position : position + 4], "big")
        if kind == b"IEND" and position <= len(data):
            return
    raise _corrupt(header)


def _rgb8(decoded: NDArray[Any]) -> NDArray[np.uint8]:
    """OpenCV's grey, BGR or BGRA of 8 or 16 bits as uint8 RGB on white."""
    height, width = decoded.shape[:2]
    pixels = np.empty((height, width, 3), np.uint8)
    # In strips: what is allocated on the way for a whole picture would be five times the picture.
    for top, bottom in _strips(height, width):
        pixels[top:bottom] = _strip_rgb8(decoded[top:bottom])
    return pixels


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def _strip_rgb8(strip: NDArray[Any]) -> NDArray[Any]:
    sixteen = strip.dtype == np.uint16
    eight = np.asarray(cv2.convertScaleAbs(strip, alpha=1 / 257) if sixteen else strip, dtype=np.uint8)
    if eight.ndim == 2:
        return cv2.cvtColor(eight, cv2.COLOR_GRAY2RGB)
    bgr = on_white(eight) if eight.shape[2] == 4 else eight
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def _refuse_scan_bomb(data: bytes) -> None:
    """Walk the markers of a JPEG (ITU-T T.81, annex B) and count its scans, without decoding any."""
    scans, position = 0, 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _EOI:
            return
        if marker == 0xFF:  # fill bytes may stand before any marker
            position += 1
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker != _SOS:
            continue
        scans += 1
        if scans > _MOST_SCANS:
            raise BadPictureError(
                FailureReason.UNSUPPORTED, "The JPEG has more scans than any encoder writes."
            )
        after = _AFTER_ENTROPY_DATA.search(data, position)
        if after is None:
            return
        position = after.start()


def _decode_with_pillow(
    image: Image.Image, header: Header, scale: int, profile: bytes
) -> tuple[NDArray[np.uint8], bytes]:
    """The pixels and the profile that they are still in."""
    if header.format is PictureFormat.JPEG and scale > 1:
        width, height = image.size
        image.draft(image.mode, (width // scale, height // scale))
    if header.format is PictureFormat.TIFF:
        _refuse_planar_sixteen_bits(image)
    image.load()
    if image.mode in _PRINT_MODES:
        transform = lab_to_srgb() if image.mode == "LAB" else transform_to_srgb(profile)
        return _by_strips(image, lambda strip: _from_print(strip, transform)), b""
    if image.mode in _SIXTEEN_BIT_MODES:
        return _by_strips(image, lambda strip: _rgb8(np.asarray(strip).astype(np.uint16))), profile
    if image.mode == "RGB" or image.mode in _COMPOSITED_MODES:
        return _by_strips(image, _composited), profile
    raise BadPictureError(
        FailureReason.UNSUPPORTED,
        f"Pixels of type {image.mode} in a {header.format.name} are not supported.",
    )


def _by_strips(image: Image.Image, to_rgb: Callable[[Image.Image], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Convert a loaded image strip by strip: Pillow needs three copies to hand over a whole one."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top, bottom in _strips(height, width):
        pixels[top:bottom] = to_rgb(image.crop((0, top, width, bottom)))
    return pixels


def _refuse_planar_sixteen_bits(image: Image.Image) -> None:
    """Pillow 13 reads such planes as noise, without an error."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,))
    if image.tag_v2.get(_PLANAR_CONFIGURATION) == _SEPARATE_PLANES and max(bits) > 8:
        raise BadPictureError(
            FailureReason.UNSUPPORTED, "A TIFF of 16 bits in separate planes is not supported."
        )


def _composited(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode in {"PA", "LA", "La", "RGBA", "RGBa"} or "transparency" in image.info:
        return _rgb8(cv2.cvtColor(np.asarray(image.convert("RGBA")), cv2.COLOR_RGBA2BGRA))
    return np.asarray(image.convert("RGB"))


def _from_print(image: Image.Image, transform: ImageCms.ImageCmsTransform | None) -> NDArray[np.uint8]:
    if transform is not None and transform.input_mode == image.mode:
        return np.asarray(transform.apply(image))
    return np.asarray(image.convert("RGB"))  # CMYK without a profile: ink absorbs what it covers
