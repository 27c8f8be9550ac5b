"""Reads what a file says of itself, and refuses what can never become an asset.

Never decodes a pixel, so the catalogue's web process may call it on anything. Needs Pillow only.
"""

from __future__ import annotations

import functools
import io
import os
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

# Importing a plugin registers it; without, Pillow imports all sixty of them at the first WebP.
from PIL import AvifImagePlugin, Image, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin

from pipeline.preprocess.errors import RefusalReason, RefusedPictureError
from pipeline.preprocess.exif import CameraFacts, camera_facts
from pipeline.preprocess.formats import SNIFF_BYTES, PictureFormat, sniff, sniff_other

__all__ = ["DEFAULT_LIMITS", "Header", "Limits", "open_picture", "read_header"]

_PLUGINS = (AvifImagePlugin, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin)

# Pillow warns and raises by limits of its own inside open(); ours are checked right after it, before
# any pixel is decoded, and this package is the only one that opens pictures.
Image.MAX_IMAGE_PIXELS = None

_SUBFILE_TYPE, _DNG_VERSION = 254, 50706
_REDUCED_RESOLUTION = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted at all. The defaults are those of ``docs/uploads.md``."""

    max_bytes: int = 200_000_000
    max_pixels: int = 200_000_000
    max_side: int = 30_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says. Width and height in pixels, as people see the picture (orientation applied)."""

    format: PictureFormat
    width: int
    height: int
    camera: CameraFacts
    has_alpha: bool
    animated: bool
    has_profile: bool
    """Whether an ICC profile is embedded."""

    @property
    def media_type(self) -> str:
        """For HTTP, such as ``image/jpeg``."""
        return self.format.media_type

    @property
    def extension(self) -> str:
        """With its dot, such as ``.jpg``."""
        return self.format.extension

    @property
    def taken_at(self) -> datetime | None:
        """See :attr:`CameraFacts.taken_at`."""
        return self.camera.taken_at


def read_header(source: BinaryIO | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read the header of a picture, or refuse it.

    Args:
        source: all bytes, or a seekable stream, which is left at its beginning.
        limits: what is accepted.

    Raises:
        RefusedPictureError: with the reason.
    """
    if isinstance(source, bytes):
        return open_picture(io.BytesIO(source), limits=limits)[1]
    try:
        return open_picture(source, limits=limits)[1]
    finally:
        source.seek(0)


def open_picture(stream: BinaryIO, *, limits: Limits) -> tuple[Image.Image, Header]:
    """Open lazily by content, never by name: Pillow's undecoded image and the header.

    Raises:
        RefusedPictureError: with the reason.
    """
    size = stream.seek(0, os.SEEK_END)
    if size == 0:
        raise RefusedPictureError(RefusalReason.EMPTY, "The file is empty.")
    if size > limits.max_bytes:
        raise RefusedPictureError(
            RefusalReason.TOO_MANY_BYTES,
            f"The file has {size:,} bytes; at most {limits.max_bytes:,} are accepted.",
        )
    stream.seek(0)
    head = stream.read(SNIFF_BYTES)
    picture_format = sniff(head)
    if picture_format is None:
        other = sniff_other(head)
        if other:
            raise RefusedPictureError(
                RefusalReason.UNSUPPORTED_FORMAT, f"Pictures of this format are not accepted: {other}."
            )
        raise RefusedPictureError(RefusalReason.NOT_A_PICTURE, "The content of this file is not a picture.")
    stream.seek(0)
    image = _open(stream, picture_format)
    _refuse_too_many_pixels(image, limits)
    if picture_format is PictureFormat.TIFF:
        _refuse_camera_raw(image)
    return image, _header(image, picture_format)


def _open(stream: BinaryIO, picture_format: PictureFormat) -> Image.Image:
    if picture_format is PictureFormat.HEIC:
        _register_heif()
    try:
        return Image.open(stream, formats=(picture_format.pillow_name,))
    except Exception as error:
        raise RefusedPictureError(
            RefusalReason.NOT_A_PICTURE,
            f"The file begins like {picture_format.name}, but its header cannot be read.",
        ) from error


@functools.cache
def _register_heif() -> None:
    # Only who meets a HEIC pays for loading its library.
    import pillow_heif  # noqa: PLC0415

    pillow_heif.register_heif_opener()


def _refuse_too_many_pixels(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise RefusedPictureError(RefusalReason.NOT_A_PICTURE, "The header declares no pixels.")
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise RefusedPictureError(
            RefusalReason.TOO_MANY_PIXELS,
            f"The picture has {width} × {height} pixels; at most {limits.max_pixels:,} pixels"
            f" and {limits.max_side:,} on a side are accepted.",
        )


def _refuse_camera_raw(image: Image.Image) -> None:
    """Raw files of DNG and its relatives are TIFFs that show a thumbnail as their first page."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    subfile_type = image.tag_v2.get(_SUBFILE_TYPE, 0)
    reduced = isinstance(subfile_type, int) and bool(subfile_type & _REDUCED_RESOLUTION)
    if reduced or _DNG_VERSION in image.tag_v2:
        raise RefusedPictureError(
            RefusalReason.UNSUPPORTED_FORMAT, "Pictures of this format are not accepted: camera raw."
        )


def _header(image: Image.Image, picture_format: PictureFormat) -> Header:
    camera = camera_facts(image)
    width, height = image.size
    # Pillow gives the size of a TIFF as oriented already.
    if camera.orientation >= 5 and picture_format is not PictureFormat.TIFF:
        width, height = height, width
    return Header(
        format=picture_format,
        width=width,
        height=height,
        camera=camera,
        has_alpha=image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info,
        animated=_is_animated(image, picture_format),
        has_profile=bool(image.info.get("icc_profile")),
    )


def _is_animated(image: Image.Image, picture_format: PictureFormat) -> bool:
    if picture_format is PictureFormat.TIFF:  # several pages are no animation
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001 - a GIF looks for its second frame, in bytes that may be anything
        return False
