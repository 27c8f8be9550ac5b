"""Whatever the bytes, the answer is a picture or a reason, never a crash."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import BadPictureError, RefusedPictureError, prepare, read_header, renditions
from tests.pipeline import pictures

SPEC = PreprocessSpec(id="x", width=32, height=24)
TRIES = 120

SOURCES = {
    **pictures.EVERY_FORMAT,
    "progressive JPEG": lambda: pictures.jpeg(progressive=True),
    "CMYK JPEG": pictures.cmyk_jpeg,
    "16-bit PNG": lambda: pictures.sixteen_bit_png(alpha=True),
    "palette PNG": pictures.palette_png_with_transparency,
    "animated GIF": lambda: pictures.animated("GIF"),
    "animated WEBP": lambda: pictures.animated("WEBP"),
    "lossy WEBP": lambda: pictures.encoded(pictures.scene(), "WEBP"),
    "LZW TIFF": lambda: pictures.encoded(pictures.scene(), "TIFF", compression="tiff_lzw"),
    "JPEG TIFF": lambda: pictures.encoded(pictures.scene(), "TIFF", compression="jpeg"),
    "turned JPEG": lambda: pictures.oriented(6),
    "profiled JPEG": lambda: pictures.jpeg(icc_profile=pictures.profile_with_red_and_green_exchanged()),
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One of the ways in which files break, or are broken on purpose."""
    broken: NDArray[np.uint8] = np.frombuffer(data, np.uint8).copy()
    size = len(broken)
    at = int(rng.integers(size))
    match int(rng.integers(5)):
        case 0:
            broken = broken[: max(1, at)]
        case 1:  # the header only
            where = rng.integers(0, min(size, 300), 4)
            broken[where] = rng.integers(0, 256, 4)
        case 2:
            where = rng.integers(0, size, 20)
            broken[where] = rng.integers(0, 256, 20)
        case 3:
            broken = np.delete(broken, np.s_[at : at + int(rng.integers(1, 200))])
        case _:  # lengths and offsets that lie
            lie = np.frombuffer([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"][at % 3], np.uint8)
            broken[at : at + 4] = lie[: size - at]
    return broken.tobytes()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", SOURCES)
def test_a_damaged_file_is_a_picture_or_a_reason_and_nothing_else(name: str) -> None:
    rng = np.random.default_rng(sum(name.encode()))
    source = SOURCES[name]()
    outcomes = {"picture": 0, "reason": 0}
    for _ in range(TRIES):
        data = damaged(source, rng)
        try:
            picture = prepare(data, SPEC)
        except BadPictureError:
            outcomes["reason"] += 1
        else:
            outcomes["picture"] += 1
            assert picture.pixels.shape == (24, 32, 3)
            assert renditions(picture).grid.data
        with contextlib.suppress(RefusedPictureError):
            read_header(data)
    assert outcomes["reason"] > 0, "the damage was too kind to tell anything"
