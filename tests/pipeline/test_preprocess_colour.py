"""Colour models, depths, transparency and profiles end as the sRGB that people see."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.messages import FailureReason
from pipeline.preprocess import prepare
from tests.pipeline import pictures
from tests.pipeline.preparing import SAME, SPEC, difference, failure_of


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def test_a_cmyk_jpeg_has_the_colours_of_its_inks() -> None:
    assert difference(prepare(pictures.cmyk_jpeg(), SAME).preview, pictures.scene()) < 3


def test_a_cmyk_jpeg_follows_its_profile() -> None:
    inks = Image.fromarray(pictures.scene()).convert("CMYK")
    data = pictures.encoded(inks, "JPEG", icc_profile=pictures.cmyk_profile_that_is_always(50))

    preview = prepare(data, SAME).preview

    assert np.ptp(preview.reshape(-1, 3), axis=0).max() <= 2
    assert preview.mean() == pytest.approx(119, abs=12)  # CIE lightness 50 is about 119 in sRGB


def test_a_large_cmyk_jpeg_is_decoded_at_a_reduced_scale_too() -> None:
    picture = prepare(pictures.cmyk_jpeg(3300, 1800), SPEC)

    assert picture.preview.shape == (873, 1600, 3)
    assert (picture.width, picture.height) == (3300, 1800)


def test_a_16_bit_png_is_scaled_to_8() -> None:
    assert np.array_equal(prepare(pictures.sixteen_bit_png(), SAME).preview, pictures.scene())


def test_a_16_bit_grey_png_is_scaled_to_8() -> None:
    grey = np.repeat(pictures.scene()[..., :1], 3, axis=2)

    assert np.array_equal(prepare(pictures.sixteen_bit_grey_png(), SAME).preview, grey)


def test_a_16_bit_png_with_transparency_lies_on_white() -> None:
    expected = on_white(np.dstack([pictures.scene(), pictures.ramp()]))

    assert difference(prepare(pictures.sixteen_bit_png(alpha=True), SAME).preview, expected) < 1


@pytest.mark.parametrize(
    ("format_name", "options", "tolerance"),
    [
        ("PNG", {}, 1),
        ("WEBP", {"lossless": True, "exact": True}, 1),
        ("TIFF", {}, 1),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 4),
    ],
)
def test_a_transparent_picture_lies_on_white(format_name: str, options: dict, tolerance: float) -> None:
    expected = on_white(np.dstack([pictures.scene(), pictures.ramp()]))

    preview = prepare(pictures.transparent(format_name, **options), SAME).preview

    assert difference(preview, expected) < tolerance


def test_a_palette_png_with_transparency_lies_on_white() -> None:
    preview = prepare(pictures.palette_png_with_transparency(), SPEC).preview

    assert (preview[:, :20] == 255).all()
    assert (preview[:, 20:] == pictures.BLUE).all()


def test_a_grey_png_with_a_transparent_value_lies_on_white() -> None:
    preview = prepare(pictures.grey_png_with_transparent_value(), SPEC).preview

    assert (preview[:, :20] == 255).all()
    assert (preview[:, 20:] == 200).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "LAB", "I;16", "RGBA"])
def test_a_tiff_of_any_common_kind_is_right(mode: str) -> None:
    grey = Image.fromarray(pictures.scene()[..., 0])
    colour = Image.fromarray(pictures.scene())
    image, expected = {
        "1": lambda: (grey.point(lambda v: 255 * (v > 90), "1"), grey.point(lambda v: 255 * (v > 90))),
        "L": lambda: (grey, grey),
        "LA": lambda: (Image.merge("LA", [grey, Image.new("L", grey.size, 255)]), grey),
        "P": lambda: (grey.convert("P"), grey),
        "CMYK": lambda: (colour.convert("CMYK"), colour),
        "YCbCr": lambda: (colour.convert("YCbCr"), colour),
        "LAB": lambda: (
            Image.new("LAB", (96, 64), (128, 128, 128)),
            Image.new("RGB", (96, 64), (119, 119, 119)),
        ),
        "I;16": lambda: (Image.fromarray(pictures.scene()[..., 0].astype(np.uint16) * 257), grey),
        "RGBA": lambda: (colour.convert("RGBA"), colour),
    }[mode]()

    preview = prepare(pictures.encoded(image, "TIFF"), SAME).preview

    assert difference(preview, np.asarray(expected.convert("RGB"))) < 2


def test_a_tiff_of_floating_point_pixels_is_refused_as_unsupported() -> None:
    image = Image.fromarray(pictures.scene()[..., 0].astype(np.float32))

    assert failure_of(pictures.encoded(image, "TIFF")) is FailureReason.UNSUPPORTED


def test_a_profile_is_applied_to_what_people_and_the_network_see() -> None:
    red = Image.new("RGB", (96, 64), (200, 40, 40))
    data = pictures.encoded(red, "PNG", icc_profile=pictures.profile_with_red_and_green_exchanged())

    picture = prepare(data, SPEC)

    for pixels in (picture.preview, picture.pixels):
        assert difference(pixels[0, 0], np.array([40, 200, 40])) < 8


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    assert np.array_equal(
        prepare(pictures.jpeg(icc_profile=profile), SPEC).preview, prepare(pictures.jpeg(), SPEC).preview
    )


@pytest.mark.parametrize("junk", [b"junk", bytes(500), b"\0" * 36 + b"acsp" + b"\xff" * 200])
def test_a_profile_that_is_none_is_ignored(junk: bytes) -> None:
    with_junk = prepare(pictures.encoded(pictures.scene(), "PNG", icc_profile=junk), SAME)

    assert np.array_equal(with_junk.preview, pictures.scene())


def test_a_cmyk_profile_in_an_rgb_picture_is_ignored() -> None:
    profile = pictures.cmyk_profile_that_is_always(50)

    picture = prepare(pictures.encoded(pictures.scene(), "PNG", icc_profile=profile), SAME)

    assert np.array_equal(picture.preview, pictures.scene())
