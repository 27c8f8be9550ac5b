"""The pixels of every format, the right way up, in the sizes that are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import PREVIEW_SIDE, prepare
from pipeline.preprocess.pixels import decoding_scale
from tests.pipeline import pictures
from tests.pipeline.preparing import SAME, SPEC, difference


@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF", "BMP"])
def test_a_lossless_format_gives_back_its_exact_pixels(name: str) -> None:
    picture = prepare(pictures.EVERY_FORMAT[name](), SAME)

    assert np.array_equal(picture.preview, pictures.scene())
    assert np.array_equal(picture.pixels, pictures.scene())
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize(("name", "tolerance"), [("JPEG", 3.0), ("AVIF", 4.0), ("HEIC", 6.0), ("GIF", 12.0)])
def test_a_lossy_format_gives_back_nearly_its_pixels(name: str, tolerance: float) -> None:
    assert difference(prepare(pictures.EVERY_FORMAT[name](), SAME).preview, pictures.scene()) < tolerance


@pytest.mark.parametrize("name", pictures.EVERY_FORMAT)
def test_the_network_gets_the_whole_picture_in_its_own_size(name: str) -> None:
    picture = prepare(pictures.EVERY_FORMAT[name](), PreprocessSpec(id="x", width=70, height=50))

    assert picture.pixels.shape == (50, 70, 3)
    assert (picture.width, picture.height) == (96, 64)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF"])
def test_a_picture_of_one_pixel_is_a_picture(format_name: str) -> None:
    picture = prepare(pictures.one_pixel(format_name), SPEC)

    assert picture.pixels.shape == (260, 260, 3)
    assert picture.preview.shape == (1, 1, 3)
    assert difference(picture.preview[0, 0], np.array(pictures.RED)) < 12
    assert (picture.pixels == picture.preview[0, 0]).all()


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_stands_for_an_animation(format_name: str) -> None:
    assert difference(prepare(pictures.animated(format_name), SAME).preview, pictures.corners()) < 6


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_shown_upright(format_name: str, orientation: int) -> None:
    stored = pictures.corners()
    # EXIF 2.32, 4.6.4 A: where row 0 and column 0 of what is stored lie in what people see.
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    height, width = upright.shape[:2]
    spec = PreprocessSpec(id="x", width=width, height=height)

    picture = prepare(pictures.oriented(orientation, format_name), spec)

    assert (picture.width, picture.height) == (width, height)
    assert difference(picture.preview, upright) < 8
    assert difference(picture.pixels, upright) < 8


def test_a_heic_is_turned_by_its_own_rotation_and_not_once_more_by_its_exif() -> None:
    picture = prepare(pictures.turned_heic(), PreprocessSpec(id="x", width=64, height=96))

    assert (picture.width, picture.height) == (64, 96)
    assert difference(picture.preview, np.rot90(pictures.corners(), -1)) < 8


def test_a_rotated_picture_fills_a_network_input_that_is_not_square() -> None:
    upright = prepare(
        pictures.encoded(pictures.scene(200, 100), "PNG"), PreprocessSpec(id="x", width=40, height=30)
    )
    turned_by_exif = pictures.oriented(6, "PNG", np.rot90(pictures.scene(200, 100)).copy())

    turned = prepare(turned_by_exif, PreprocessSpec(id="x", width=40, height=30))

    assert difference(turned.pixels, upright.pixels) < 1


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [
        (4000, 3000, 2),  # 12 megapixels: by 4 the preview would be too small
        (3000, 4000, 2),
        (6400, 4800, 4),
        (12_800, 9600, 8),
        (3199, 2400, 2),  # libjpeg rounds up: 1600
        (3198, 2400, 1),
        (1600, 1200, 1),
        (10_000, 1000, 1),  # a panorama: by 2 it has less than twice the network's height
        (1, 1, 1),
    ],
)
def test_the_scale_of_decoding_serves_the_preview_and_twice_the_network(
    width: int, height: int, scale: int
) -> None:
    assert decoding_scale(width, height, SPEC) == scale


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_reduced_while_decoding_and_keeps_its_own_size_in_the_facts(orientation: int) -> None:
    picture = prepare(pictures.oriented(orientation, "JPEG", pictures.scene(3301, 2201)), SPEC)

    assert sorted(picture.preview.shape[:2]) == [1067, PREVIEW_SIDE]
    assert sorted((picture.width, picture.height)) == [2201, 3301]


def test_a_picture_is_never_enlarged_for_people() -> None:
    assert prepare(pictures.jpeg(33, 21), SPEC).preview.shape == (21, 33, 3)
