from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.preprocess import Limits, RefusalReason, RefusedPictureError, read_header
from tests.pipeline import pictures

MEDIA_TYPES = {
    "JPEG": ("image/jpeg", ".jpg"),
    "PNG": ("image/png", ".png"),
    "WEBP": ("image/webp", ".webp"),
    "GIF": ("image/gif", ".gif"),
    "TIFF": ("image/tiff", ".tif"),
    "BMP": ("image/bmp", ".bmp"),
    "AVIF": ("image/avif", ".avif"),
    "HEIC": ("image/heic", ".heic"),
}


def refusal_of(data: bytes, limits: Limits | None = None) -> RefusalReason:
    with pytest.raises(RefusedPictureError) as refused:
        read_header(data, limits=limits or Limits())
    assert refused.value.message
    return refused.value.reason


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_every_accepted_format_is_told_by_its_content(name: str) -> None:
    header = read_header(pictures.EVERY_FORMAT[name]())

    assert header.format.name == name
    assert (header.media_type, header.extension) == MEDIA_TYPES[name]
    assert (header.width, header.height) == (96, 64)
    assert not header.animated
    assert not header.has_alpha


def test_a_stream_is_left_at_its_beginning() -> None:
    stream = io.BytesIO(pictures.jpeg())

    read_header(stream)

    assert stream.tell() == 0
    assert not stream.closed


def test_a_refused_stream_is_left_at_its_beginning_too() -> None:
    stream = io.BytesIO(pictures.TEXT)
    stream.seek(7)

    with pytest.raises(RefusedPictureError):
        read_header(stream)

    assert stream.tell() == 0


def test_an_empty_file_is_refused_as_empty() -> None:
    assert refusal_of(pictures.EMPTY) is RefusalReason.EMPTY


def test_a_text_named_jpg_is_refused_as_no_picture() -> None:
    assert refusal_of(pictures.TEXT) is RefusalReason.NOT_A_PICTURE


@pytest.mark.parametrize("head", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0"])
def test_a_magic_number_alone_makes_no_picture(head: bytes) -> None:
    assert refusal_of(head + pictures.TEXT) is RefusalReason.NOT_A_PICTURE


@pytest.mark.parametrize(
    "data",
    [
        pictures.SVG,
        b"8BPS\0\1" + bytes(60),
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        b"II*\0\x10\0\0\0CR\2\0" + bytes(60),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60),
    ],
    ids=["svg", "photoshop", "jpeg 2000", "canon raw", "canon raw 3"],
)
def test_a_picture_of_another_format_is_refused_by_its_format(data: bytes) -> None:
    assert refusal_of(data) is RefusalReason.UNSUPPORTED_FORMAT


def test_a_camera_raw_that_is_a_tiff_is_refused_by_its_format() -> None:
    dng_version = {50706: bytes([1, 4, 0, 0])}
    thumbnail_first = {254: 1}

    for tags in (dng_version, thumbnail_first):
        data = pictures.encoded(pictures.scene(), "TIFF", tiffinfo=tags)
        assert refusal_of(data) is RefusalReason.UNSUPPORTED_FORMAT


def test_a_file_over_the_limit_of_bytes_is_refused_before_it_is_read() -> None:
    data = pictures.jpeg()

    assert refusal_of(data, Limits(max_bytes=len(data) - 1)) is RefusalReason.TOO_MANY_BYTES
    assert read_header(data, limits=Limits(max_bytes=len(data))).width == 96


def test_a_picture_over_the_limits_of_pixels_is_refused() -> None:
    data = pictures.jpeg()

    assert refusal_of(data, Limits(max_pixels=96 * 64 - 1)) is RefusalReason.TOO_MANY_PIXELS
    assert refusal_of(data, Limits(max_side=95)) is RefusalReason.TOO_MANY_PIXELS
    assert read_header(data, limits=Limits(max_pixels=96 * 64, max_side=96)).width == 96


def test_a_picture_within_our_limits_passes_where_pillow_would_warn_or_refuse() -> None:
    header = read_header(pictures.huge_png(19_000, 10_000))

    assert (header.width, header.height) == (19_000, 10_000)


# Not getrusage: its peak begins with that of the process which started this one.
PEAK_OF_READING = """
import sys
from pathlib import Path
from pipeline.preprocess import RefusedPictureError, read_header

def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024

data = sys.stdin.buffer.read()
with open(sys.argv[1], "rb") as small:
    read_header(small)
before = peak()
try:
    header = read_header(data)
except RefusedPictureError as refused:
    print(refused.reason, peak() - before)
else:
    print(header.width, peak() - before)
assert "cv2" not in sys.modules, "the web process has no OpenCV"
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured by Linux's /proc")


def reading_in_a_fresh_process(data: bytes, warm_up: bytes, path: Path) -> tuple[str, float]:
    """The outcome, and by how many MiB the peak of resident memory grew."""
    path.write_bytes(warm_up)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_OF_READING, path], input=data, capture_output=True, check=True
    )
    outcome, grown = done.stdout.decode().split()
    return outcome, float(grown)


@needs_proc
def test_a_png_of_20000_by_20000_pixels_is_refused_from_its_header_without_memory(tmp_path: Path) -> None:
    outcome, grown = reading_in_a_fresh_process(
        pictures.huge_png(), pictures.EVERY_FORMAT["PNG"](), tmp_path / "small.png"
    )

    assert outcome == "too-many-pixels"
    assert grown < 8


@needs_proc
@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_reading_the_header_of_a_large_picture_decodes_nothing(tmp_path: Path, name: str) -> None:
    """Decoded, it would have 48 million bytes; a PNG without EXIF tempts Pillow to look behind its pixels."""
    blank = Image.new("RGB", (4000, 4000), pictures.RED)
    options = {"compression": "tiff_lzw"} if name == "TIFF" else {}
    data = pictures.encoded(blank.quantize(4) if name == "GIF" else blank, name, **options)

    outcome, grown = reading_in_a_fresh_process(data, pictures.EVERY_FORMAT[name](), tmp_path / "small")

    assert outcome == "4000"
    assert grown < 8


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_those_that_people_see(format_name: str, orientation: int) -> None:
    header = read_header(pictures.oriented(orientation, format_name))

    assert (header.width, header.height) == ((96, 64) if orientation < 5 else (64, 96))
    assert header.camera.orientation == orientation


def test_an_orientation_out_of_range_counts_as_upright() -> None:
    assert read_header(pictures.oriented(9)).camera.orientation == 1


@pytest.mark.parametrize("format_name", ["GIF", "WEBP"])
def test_an_animation_is_told(format_name: str) -> None:
    assert read_header(pictures.animated(format_name)).animated


def test_transparency_is_told() -> None:
    assert read_header(pictures.transparent("PNG")).has_alpha
    assert read_header(pictures.transparent("WEBP")).has_alpha
    assert read_header(pictures.palette_png_with_transparency()).has_alpha


def test_an_embedded_profile_is_told() -> None:
    profile = pictures.profile_with_red_and_green_exchanged()

    assert read_header(pictures.jpeg(icc_profile=profile)).has_profile
    assert not read_header(pictures.jpeg()).has_profile


def jpeg_with(
    *, main: dict[int, object] | None = None, detail: dict[int, object] | None = None, **more
) -> bytes:
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(0x8769).update(detail or {})
    exif.get_ifd(0x8825).update(more.get("gps", {}))
    return pictures.jpeg(exif=exif)


def test_when_it_was_taken_is_local_time_unless_the_camera_knew_its_zone() -> None:
    original, offset = 0x9003, 0x9011
    naive = read_header(jpeg_with(detail={original: "2024:05:06 07:08:09"}))
    aware = read_header(jpeg_with(detail={original: "2024:05:06 07:08:09", offset: "-03:30"}))

    assert naive.taken_at == datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 - naive is the point
    assert aware.taken_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(-timedelta(hours=3, minutes=30)))
    assert aware.taken_at.astimezone(UTC).hour == 10


@pytest.mark.parametrize("nonsense", ["0000:00:00 00:00:00", "2024:13:01 00:00:00", "yesterday", ""])
def test_a_date_that_is_none_is_nothing(nonsense: str) -> None:
    assert read_header(jpeg_with(detail={0x9003: nonsense})).taken_at is None


def test_the_date_of_the_file_stands_in_where_the_original_one_is_missing() -> None:
    assert read_header(jpeg_with(main={0x0132: "2020:01:02 03:04:05"})).taken_at.year == 2020


def test_the_camera_and_the_place_are_read() -> None:
    gps = {1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 36.0)}
    camera = read_header(jpeg_with(main={0x010F: "Make\0 junk", 0x0110: "  Model 1\n"}, gps=gps)).camera

    assert (camera.make, camera.model) == ("Make", "Model 1")
    assert camera.latitude == pytest.approx(-33.86)
    assert camera.longitude == pytest.approx(151.21)


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)},
        {1: "N", 2: (1.0,)},
        {1: "N", 2: (1.0, 2.0, 3.0)},
    ],
)
def test_a_place_that_is_none_is_nothing(gps: dict[int, object]) -> None:
    camera = read_header(jpeg_with(gps=gps)).camera

    assert (camera.latitude, camera.longitude) == (None, None)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_broken_exif_block_spoils_nothing_but_itself() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        junk = b"Exif\0\0MM\0*\0\0\0\x08" + rng.integers(0, 256, 200, dtype=np.uint8).tobytes()
        header = read_header(pictures.jpeg(exif=junk))
        assert {header.width, header.height} == {96, 64}
