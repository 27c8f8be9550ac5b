"""Pictures made on the spot: good, odd and bad ones. Everything is deterministic, nothing is a file."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (255, 255, 255)


def scene(width: int = 96, height: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Uint8 RGB ``[height, width, 3]``: gradients and a disc, by integer arithmetic alone."""
    y, x = np.ogrid[0:height, 0:width]
    disc = (x - width // 3) ** 2 + (y - height // 2) ** 2 < (min(width, height) // 4) ** 2
    red = (x * 255 // max(1, width - 1) + 31 * seed) % 256
    green = (y * 255 // max(1, height - 1) + 57 * seed) % 256
    blue = np.where(disc, 230, (x + y + 13 * seed) % 256 // 2)
    bands = np.broadcast_arrays(*(band.astype(np.uint8) for band in (red, green, blue)))
    return np.dstack(bands)


def corners(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Red, green / blue, white quarters: tells every orientation from every other."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return pixels


def encoded(picture: NDArray[np.uint8] | Image.Image, format_name: str = "JPEG", **options: object) -> bytes:
    """A file, by Pillow (HEIF by pillow-heif)."""
    if format_name == "HEIF":
        import pillow_heif  # noqa: PLC0415 - only who asks for HEIC needs it

        pillow_heif.register_heif_opener()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if format_name == "JPEG":
        options = {"quality": 92, **options}
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def jpeg(width: int = 96, height: int = 64, seed: int = 0, **options: object) -> bytes:
    return encoded(scene(width, height, seed), "JPEG", **options)


# One of each accepted format; the key is the name of the member of PictureFormat.
EVERY_FORMAT: dict[str, Callable[[], bytes]] = {
    "JPEG": jpeg,
    "PNG": lambda: encoded(scene(), "PNG"),
    "WEBP": lambda: encoded(scene(), "WEBP", lossless=True),
    "GIF": lambda: encoded(Image.fromarray(scene()).quantize(255), "GIF"),
    "TIFF": lambda: encoded(scene(), "TIFF"),
    "BMP": lambda: encoded(scene(), "BMP"),
    "AVIF": lambda: encoded(scene(), "AVIF", quality=95, subsampling="4:4:4"),
    "HEIC": lambda: encoded(scene(), "HEIF", quality=95),
}


# ---------------------------------------------------------------- odd, but good


def oriented(orientation: int, format_name: str = "JPEG", pixels: NDArray[np.uint8] | None = None) -> bytes:
    """A picture stored as it is, with an EXIF orientation that asks the reader to turn it."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(corners() if pixels is None else pixels, format_name, exif=exif)


def turned_heic() -> bytes:
    """:func:`corners` with a quarter turn in box ``irot`` and EXIF orientation 6; phones write both."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image = Image.fromarray(corners())
    image.info["exif"] = exif.tobytes()
    data = encoded(image, "HEIF", quality=95)
    assert b"irot" in data
    return data


def cmyk_jpeg(width: int = 96, height: int = 64) -> bytes:
    return encoded(Image.fromarray(scene(width, height)).convert("CMYK"), "JPEG")


def sixteen_bit_png(*, alpha: bool = False) -> bytes:
    """RGB or RGBA of 16 bits per channel: every value is 257 times that of :func:`scene`."""
    pixels = scene()
    if alpha:
        pixels = np.dstack([pixels, ramp()])
    height, width, channels = pixels.shape
    rows = (pixels.astype(np.uint16) * 257).astype(">u2").reshape(height, width * channels)
    return png_of(width, height, bits=16, colour_type=6 if alpha else 2, rows=[row.tobytes() for row in rows])


def sixteen_bit_grey_png() -> bytes:
    grey = scene()[..., 0]
    rows = [(row.astype(np.uint16) * 257).astype(">u2").tobytes() for row in grey]
    return png_of(grey.shape[1], grey.shape[0], bits=16, colour_type=0, rows=rows)


def ramp(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Alpha from transparent on the left to opaque on the right: uint8 ``[height, width]``."""
    return np.tile((np.arange(width) * 255 // (width - 1)).astype(np.uint8), (height, 1))


def transparent(format_name: str = "PNG", **options: object) -> bytes:
    """RGBA whose hidden colours are garish, so that a reader who drops alpha is found out."""
    return encoded(np.dstack([scene(), ramp()]), format_name, **options)


def palette_png_with_transparency() -> bytes:
    """Left half red and fully transparent, right half blue and opaque."""
    image = Image.new("P", (40, 20), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (20, 0, 40, 20))
    return encoded(image, "PNG", transparency=bytes([0, 255]))


def grey_png_with_transparent_value() -> bytes:
    """Left half of value 10, declared transparent; right half 200."""
    image = Image.new("L", (40, 20), 10)
    image.paste(200, (20, 0, 40, 20))
    return encoded(image, "PNG", transparency=10)


def animated(format_name: str) -> bytes:
    """Two frames: first :func:`corners`, then black."""
    first, second = Image.fromarray(corners()), Image.new("RGB", (96, 64))
    options: dict[str, object] = {"save_all": True, "append_images": [second], "duration": 100}
    if format_name == "WEBP":
        options["lossless"] = True
    return encoded(first, format_name, **options)


def one_pixel(format_name: str) -> bytes:
    return encoded(Image.new("RGB", (1, 1), RED), format_name)


# ------------------------------------------------------------------------- bad


EMPTY = b""
TEXT = b"Dear reader, this is a letter and not a picture, whatever its name says.\n" * 40
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def truncated(data: bytes, share: float = 0.6) -> bytes:
    """The first part of a file, as an interrupted copy leaves it."""
    return data[: int(len(data) * share)]


def zero_filled(data: bytes, share: float = 0.6) -> bytes:
    """A file whose rest was never written, as a crashed file system leaves it."""
    kept = int(len(data) * share)
    return data[:kept] + bytes(len(data) - kept)


def good_header_bad_pixels() -> bytes:
    """A JPEG that is accepted at the door and fails in the worker."""
    return truncated(jpeg(400, 300))


def huge_png(width: int = 20_000, height: int = 20_000) -> bytes:
    """A real and valid PNG of one bit per pixel: few bytes, very many pixels."""
    row = bytes(-(-width // 8))
    return png_of(width, height, bits=1, colour_type=0, rows=[row] * height)


def jpeg_with_many_scans(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def png_of(width: int, height: int, *, bits: int, colour_type: int, rows: list[bytes]) -> bytes:
    """A PNG from raw rows (ISO/IEC 15948), for what Pillow does not write."""
    packer = zlib.compressobj(6)
    packed = b"".join([packer.compress(b"\0" + row) for row in rows]) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# ---------------------------------------------------------------- ICC profiles


def profile_with_red_and_green_exchanged() -> bytes:
    """A matrix profile: sRGB's colorants (adapted to D50), but what the file calls red looks green."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)) + bytes(2)
    tags = {
        b"rXYZ": _xyz(*green),
        b"gXYZ": _xyz(*red),
        b"bXYZ": _xyz(*blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def cmyk_profile_that_is_always(lightness: int) -> bytes:
    """A press on which any ink gives the same neutral grey of CIE lightness 0 to 100."""
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x10000)
    table += bytes(range(256)) * 4
    table += bytes([round(lightness * 2.55), 128, 128]) * 2**4
    table += bytes(range(256)) * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table})


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def _profile(device_class: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2.4 (ICC.1:2001-04)."""
    name = b"Made for a test\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"cprt": b"text" + bytes(4) + b"none\0",
        **tags,
    }
    body, index = b"", struct.pack(">I", len(tags))
    offset = 128 + 4 + 12 * len(tags)
    for kind, data in tags.items():
        index += kind + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = offset + len(body)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", size, b"test", 0x02400000, device_class, space, connection, bytes(12), b"acsp"
    )
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + index + body
