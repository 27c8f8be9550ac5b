"""A picture in another size and format, made by a process of its own that lives for this one picture.

``python -m pipeline.preprocess.convert --format jpeg --long-side 1600 < ORIGINAL > RESULT``

Whoever serves pages never decodes: what a hostile file does to a decoder, it does to this process, which has
a limit of memory and of time and knows no secret. It needs Pillow and no OpenCV, like the web process that
starts it. What it writes is upright, in sRGB and without metadata: a place where a picture was taken leaves
with the original alone. JPEG is on white; PNG and WebP keep what is transparent.

It ends with 0, with :data:`EXIT_BAD` for a picture that cannot be decoded, with :data:`EXIT_TOO_LARGE` where
its memory was not enough; for both with a sentence for people as its last line on stderr.
"""

from __future__ import annotations

import argparse
import io
import resource
import sys
from typing import Any, BinaryIO

from PIL import Image, ImageOps

from pipeline.preprocess.errors import RefusedPictureError
from pipeline.preprocess.formats import PictureFormat
from pipeline.preprocess.header import Limits, open_picture

EXIT_BAD = 3
EXIT_TOO_LARGE = 4

TARGETS = {"jpeg": PictureFormat.JPEG, "png": PictureFormat.PNG, "webp": PictureFormat.WEBP}
"""What can be made, by the name that stands on the command line."""

_SETTINGS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 90, "optimize": True, "subsampling": "4:4:4"},
    "png": {"compress_level": 6},
    # Effort 4 of 6 costs a quarter of 6 and gives files that are two per cent larger.
    "webp": {"quality": 88, "method": 4},
}
_MOST_WEBP = 16_383
"""Pixels on a side that the format can say."""
_SIXTEEN_BIT_MODES = {"I;16", "I;16L", "I;16B", "I;16N", "I"}
_WITH_ALPHA = {"RGBA", "LA", "PA", "RGBa", "La"}


class ConversionError(Exception):
    """The picture's fault; the message is a sentence for people."""


def convert(source: BinaryIO, target: BinaryIO, *, format_name: str, long_side: int | None) -> None:
    """Write a picture in another size and format.

    Args:
        source: the original, seekable.
        target: takes the result.
        format_name: one of :data:`TARGETS`.
        long_side: of the result in pixels; it is never enlarged. None: as the original.

    Raises:
        ConversionError: it cannot be decoded, or the format cannot hold it.
        MemoryError: there is not enough.
    """
    try:
        image, _header = open_picture(source, limits=Limits(max_bytes=sys.maxsize, max_pixels=sys.maxsize))
    except RefusedPictureError as error:
        raise ConversionError(error.message) from error
    profile = image.info.get("icc_profile") or b""
    try:
        upright = _decoded(image, long_side)
    except MemoryError:
        raise
    except Exception as error:
        # Decoders meet hostile input here and raise whatever they like.
        raise ConversionError("The picture is damaged or cut off; its pixels cannot be decoded.") from error
    pixels = _plain(upright, profile, keep_alpha=format_name != "jpeg")
    if format_name == "webp" and max(pixels.size) > _MOST_WEBP:
        raise ConversionError(f"WebP holds {_MOST_WEBP:,} pixels on a side at most; ask for a smaller size.")
    pixels.save(target, TARGETS[format_name].pillow_name, **_SETTINGS[format_name])


def _decoded(image: Image.Image, long_side: int | None) -> Image.Image:
    """Upright, and of the size that is wanted; in the colours of the file."""
    width, height = image.size
    factor = 1.0 if long_side is None else min(1.0, long_side / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if factor < 1:
        # libjpeg skips what is not needed; twice the size is left for a good filter.
        image.draft(None, (size[0] * 2, size[1] * 2))
    image.load()
    if image.mode in _SIXTEEN_BIT_MODES:
        image = _eight_bits(image)
    elif image.mode in {"P", "PA", "1"} or "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return ImageOps.exif_transpose(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow would cut off whatever is above 255.
    return image.convert("I").point(lambda value: value / 257).convert("L")


def _plain(image: Image.Image, profile: bytes, *, keep_alpha: bool) -> Image.Image:
    """In sRGB; with its transparency, or on white."""
    alpha = image.convert("RGBA").getchannel("A") if image.mode in _WITH_ALPHA else None
    colours = _srgb(image.convert("RGB") if image.mode in _WITH_ALPHA else image, profile)
    if alpha is None:
        result = colours
    elif keep_alpha:
        result = colours
        result.putalpha(alpha)
    else:
        result = Image.new("RGB", colours.size, "white")
        result.paste(colours, mask=alpha)
    # Without the marks of the file that it came from: no place, no thumbnail, no profile.
    result.info = {}
    return result


def _srgb(image: Image.Image, profile: bytes) -> Image.Image:
    from pipeline.preprocess.colour import lab_to_srgb, transform_to_srgb  # noqa: PLC0415 - only some need it

    transform = lab_to_srgb() if image.mode == "LAB" else transform_to_srgb(profile) if profile else None
    if transform is not None and transform.input_mode == image.mode:
        converted: Image.Image = transform.apply(image)
        return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _limit(memory_bytes: int, seconds: int) -> None:
    """Of this process, from here on: address space, time on a processor, and no picture of it on the disk."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str] | None = None) -> int:
    """The command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.preprocess.convert", description=__doc__)
    parser.add_argument("--format", choices=sorted(TARGETS), required=True)
    parser.add_argument("--long-side", type=int, help="pixels; not given: as the original")
    parser.add_argument("--memory-bytes", type=int, default=1 << 30, help="address space (%(default)s)")
    parser.add_argument("--seconds", type=int, default=60, help="on a processor (%(default)s)")
    asked = parser.parse_args(arguments)
    if asked.long_side is not None and asked.long_side < 1:
        parser.error("--long-side: at least 1")
    _limit(asked.memory_bytes, asked.seconds)
    # A pipe cannot be sought in; a file is taken as it is.
    source = sys.stdin.buffer if sys.stdin.buffer.seekable() else io.BytesIO(sys.stdin.buffer.read())
    try:
        convert(source, sys.stdout.buffer, format_name=asked.format, long_side=asked.long_side)
        sys.stdout.buffer.flush()
    except ConversionError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD
    except MemoryError:
        sys.stderr.write("Converting this picture needs more memory than there is.\n")
        return EXIT_TOO_LARGE
    return 0


if __name__ == "__main__":
    sys.exit(main())
