"""Which formats there are, told by their first bytes: names and declared types are never believed."""

from __future__ import annotations

from enum import Enum

SNIFF_BYTES = 512


class PictureFormat(Enum):
    """An accepted format: its media type, file extension and Pillow's name for it."""

    JPEG = ("image/jpeg", ".jpg", "JPEG")
    PNG = ("image/png", ".png", "PNG")
    WEBP = ("image/webp", ".webp", "WEBP")
    GIF = ("image/gif", ".gif", "GIF")
    TIFF = ("image/tiff", ".tif", "TIFF")
    BMP = ("image/bmp", ".bmp", "BMP")
    AVIF = ("image/avif", ".avif", "AVIF")
    HEIC = ("image/heic", ".heic", "HEIF")

    def __init__(self, media_type: str, extension: str, pillow_name: str) -> None:
        self.media_type = media_type
        self.extension = extension
        self.pillow_name = pillow_name


_BY_PREFIX: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\xff\xd8\xff", PictureFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", PictureFormat.PNG),
    (b"GIF87a", PictureFormat.GIF),
    (b"GIF89a", PictureFormat.GIF),
    (b"BM", PictureFormat.BMP),
    (b"II*\x00", PictureFormat.TIFF),
    (b"MM\x00*", PictureFormat.TIFF),
    (b"II+\x00", PictureFormat.TIFF),
    (b"MM\x00+", PictureFormat.TIFF),
)

# Pictures, but not of a kind that is accepted: worth a better word than "not a picture".
_OTHERS_BY_PREFIX: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"<svg", "SVG"),
    (b"%PDF-", "PDF"),
    (b"%!PS", "PostScript"),
    (b"gimp xcf", "GIMP"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIRS", "camera raw"),
    (b"IIU\x00", "camera raw"),
    (b"\x00MRM", "camera raw"),
    (b"FOVb", "camera raw"),
)

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def sniff(head: bytes) -> PictureFormat | None:
    """The accepted format that a file with these first :data:`SNIFF_BYTES` bytes claims to be."""
    for prefix, picture_format in _BY_PREFIX:
        if head.startswith(prefix):
            # Canon's CR2 is a TIFF whose main picture no TIFF reader can decode.
            return None if picture_format is PictureFormat.TIFF and head[8:10] == b"CR" else picture_format
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return PictureFormat.WEBP
    brands = _brands(head)
    if brands & _AVIF_BRANDS:
        return PictureFormat.AVIF
    if brands & _HEIC_BRANDS:
        return PictureFormat.HEIC
    return None


def sniff_other(head: bytes) -> str:
    """The name of a known picture format that is not accepted; empty if the bytes look like none."""
    for prefix, name in _OTHERS_BY_PREFIX:
        if head.startswith(prefix):
            return name
    if head[:4] in {b"II*\x00", b"MM\x00*"}:
        return "camera raw"
    if b"crx " in _brands(head):
        return "camera raw"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return "SVG" if text.startswith((b"<svg", b"<?xml")) and b"<svg" in text else ""


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands of an ISO base media file (ISO/IEC 14496-12, box ``ftyp``)."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = head[16:end]
    return {head[8:12]} | {compatible[i : i + 4] for i in range(0, len(compatible) - 3, 4)}
