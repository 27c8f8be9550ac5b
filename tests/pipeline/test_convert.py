"""Converting in a process of its own: what comes out, and what it makes of bad files."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from PIL import Image, ImageCms

from pipeline.preprocess.convert import EXIT_BAD, EXIT_TOO_LARGE, ConversionError, convert


def encoded(image: Image.Image, kind: str, **settings) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **settings)
    return data.getvalue()


def converted(data: bytes, format_name: str, long_side: int | None = None) -> Image.Image:
    target = io.BytesIO()
    convert(io.BytesIO(data), target, format_name=format_name, long_side=long_side)
    target.seek(0)
    return Image.open(target)


def run(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.preprocess.convert", *words],
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_as_a_command_it_reads_a_pipe_and_writes_a_picture():
    ended = run(
        encoded(Image.new("RGB", (400, 200), "teal"), "PNG"), "--format", "jpeg", "--long-side", "100"
    )
    assert ended.returncode == 0, ended.stderr
    assert Image.open(io.BytesIO(ended.stdout)).size == (100, 50)


@pytest.mark.parametrize(
    "data",
    [b"", b"no picture", encoded(Image.effect_noise((300, 300), 90), "JPEG")[:2000]],
    ids=["empty", "no picture", "cut off"],
)
def test_a_bad_file_ends_it_with_a_sentence(data):
    ended = run(data, "--format", "png")
    assert ended.returncode == EXIT_BAD
    assert ended.stdout == b""
    assert ended.stderr.decode().strip().endswith(".")


def test_a_picture_that_needs_more_memory_than_allowed_ends_it_neatly():
    data = encoded(Image.new("L", (12_000, 12_000)), "PNG")
    ended = run(data, "--format", "png", "--memory-bytes", str(250 << 20))
    assert ended.returncode == EXIT_TOO_LARGE
    assert b"memory" in ended.stderr


def test_it_takes_no_opencv():
    modules = "pipeline.preprocess.convert, pipeline.preprocess.colour"
    code = f"import sys, {modules}; assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("format_name", ["jpeg", "png", "webp"])
def test_it_is_turned_upright_and_says_nothing_of_where_it_was_taken(format_name):
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (0, 0, 100, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise brings it upright
    exif[0x010F] = "Camera of Anna"
    result = converted(encoded(image, "JPEG", exif=exif, quality=95), format_name)
    assert result.size == (100, 200)
    red, _green, blue = result.convert("RGB").getpixel((50, 20))
    assert blue > 200 > red
    assert not result.getexif()
    assert b"Camera" not in encoded(result, "PNG")


@pytest.mark.parametrize(("format_name", "corner"), [("png", (0, 0, 0, 0)), ("jpeg", (255, 255, 255))])
def test_what_is_transparent_stays_so_or_lies_on_white(format_name, corner):
    image = Image.new("RGBA", (40, 40))
    image.paste((0, 128, 0, 255), (20, 0, 40, 40))
    result = converted(encoded(image, "PNG"), format_name)
    found = result.getpixel((2, 20))
    assert found[3] == 0 if format_name == "png" else min(found) > 250
    assert result.convert("RGB").getpixel((38, 20))[1] == pytest.approx(128, abs=4)


def test_colours_of_another_space_become_srgb():
    lab = ImageCms.createProfile("LAB")
    image = Image.new("RGB", (20, 20), (200, 100, 50))
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    result = converted(encoded(to_lab.apply(image), "TIFF"), "png")
    assert result.mode == "RGB"
    assert result.getpixel((5, 5)) == pytest.approx((200, 100, 50), abs=4)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixels_is_read(mode):
    image = Image.new("L", (32, 16), 200)
    if mode == "I;16":
        source = Image.new("I;16", (32, 16), 200 * 257)
    else:
        source = image.convert("RGB").convert(mode) if mode == "CMYK" else image.convert(mode)
    result = converted(encoded(source, "TIFF" if mode == "CMYK" else "PNG"), "jpeg").convert("L")
    assert result.getpixel((8, 8)) == pytest.approx(255 if mode == "1" else 200, abs=6)


def test_it_is_never_enlarged_and_never_less_than_a_pixel():
    assert converted(encoded(Image.new("RGB", (30, 10)), "PNG"), "png", 480).size == (30, 10)
    assert converted(encoded(Image.new("RGB", (3000, 2)), "PNG"), "png", 30).size == (30, 1)


def test_webp_says_how_large_it_may_be():
    data = encoded(Image.new("L", (17_000, 2)), "PNG")
    with pytest.raises(ConversionError, match="16,383"):
        converted(data, "webp")
    assert converted(data, "webp", 16_000).width == 16_000
