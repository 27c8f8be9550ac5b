from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.messages import FailureReason
from pipeline.ports import PreprocessSpec
from pipeline.preprocess import (
    PREVIEW_SIDE,
    BadPictureError,
    Limits,
    UnsupportedSpecError,
    check_supported,
    prepare,
    renditions,
)
from pipeline.preprocess.pixels import decoding_scale
from tests.pipeline import pictures

SPEC = PreprocessSpec(id="squash-260", width=260, height=260)
# The size of pictures.scene(), so that the network's pixels are the picture's.
SAME = PreprocessSpec(id="same", width=96, height=64)


def difference(pixels: NDArray[np.uint8], expected: NDArray[np.uint8] | NDArray[np.float64]) -> float:
    """Mean absolute difference in units of 1/255."""
    assert pixels.shape == expected.shape
    return float(np.abs(pixels.astype(float) - expected.astype(float)).mean())


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def failure_of(data: bytes, limits: Limits | None = None) -> FailureReason:
    with pytest.raises(BadPictureError) as bad:
        prepare(data, SPEC, limits=limits or Limits())
    assert bad.value.detail
    return bad.value.reason


# ----------------------------------------------------------------- every format


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


# ------------------------------------------------------------- colour and depth


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
    from PIL import ImageCms  # noqa: PLC0415 - for this test alone

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


# --------------------------------------------------------- frames, turns, sizes


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


# -------------------------------------------------------------------- failures


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_truncated_jpeg_is_refused_as_corrupt(share: float, options: dict) -> None:
    assert failure_of(pictures.truncated(pictures.jpeg(400, 300, **options), share)) is FailureReason.CORRUPT


def test_a_jpeg_that_misses_only_its_last_bytes_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.jpeg(400, 300)[:-20]) is FailureReason.CORRUPT


def test_a_truncated_jpeg_is_refused_at_a_reduced_scale_too() -> None:
    assert failure_of(pictures.truncated(pictures.jpeg(3400, 2300))) is FailureReason.CORRUPT


def test_a_jpeg_whose_rest_was_never_written_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.zero_filled(pictures.jpeg(400, 300))) is FailureReason.CORRUPT


def test_a_truncated_cmyk_jpeg_is_refused_as_corrupt() -> None:
    assert failure_of(pictures.truncated(pictures.cmyk_jpeg(400, 300))) is FailureReason.CORRUPT


@pytest.mark.parametrize("name", sorted(set(pictures.EVERY_FORMAT) - {"JPEG"}))
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_truncated_picture_of_any_format_is_refused_as_corrupt(name: str, share: float) -> None:
    assert failure_of(pictures.truncated(pictures.EVERY_FORMAT[name](), share)) is FailureReason.CORRUPT


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    """Phones append a film or a depth map."""
    with_trailer = prepare(pictures.jpeg() + b"\xff\xda" * 500, SAME)

    assert np.array_equal(with_trailer.preview, prepare(pictures.jpeg(), SAME).preview)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert prepare(pictures.jpeg_with_many_scans(3), SAME).preview.shape == (64, 96, 3)
    assert failure_of(pictures.jpeg_with_many_scans(300)) is FailureReason.UNSUPPORTED


def test_a_png_chunk_that_claims_gigabytes_is_refused_before_it_is_believed() -> None:
    data = pictures.EVERY_FORMAT["PNG"]()
    end = data.rindex(b"IEND") - 4
    lie = b"\x7f\xff\xff\xff" + b"tEXt" + b"a"

    assert failure_of(data[:end] + lie + data[end:]) is FailureReason.CORRUPT


def test_what_is_over_the_limits_fails_as_too_large() -> None:
    assert failure_of(pictures.huge_png()) is FailureReason.TOO_LARGE
    assert failure_of(pictures.jpeg(), Limits(max_pixels=100)) is FailureReason.TOO_LARGE
    assert failure_of(pictures.jpeg(), Limits(max_bytes=100)) is FailureReason.TOO_LARGE


def test_what_is_no_picture_fails_with_a_reason() -> None:
    assert failure_of(pictures.TEXT) is FailureReason.CORRUPT
    assert failure_of(pictures.EMPTY) is FailureReason.CORRUPT
    assert failure_of(pictures.SVG) is FailureReason.UNSUPPORTED


@pytest.mark.parametrize(
    "change", [{"fit": "crop"}, {"interpolation": "lanczos"}, {"width": 0}, {"height": 100_000}]
)
def test_a_spec_that_is_not_known_is_refused_by_name(change: dict) -> None:
    spec = SPEC.model_copy(update=change)

    with pytest.raises(UnsupportedSpecError, match="squash-260"):
        check_supported(spec)
    with pytest.raises(UnsupportedSpecError):
        prepare(pictures.jpeg(), spec)


# ------------------------------------------------------------------ renditions


def decoded(data: bytes) -> NDArray[np.uint8]:
    return prepare(data, SPEC).preview


@pytest.mark.parametrize(
    ("size", "grid", "preview"),
    [
        ((2400, 1800), (480, 360), (1600, 1200)),
        ((1800, 2400), (270, 360), (1200, 1600)),
        ((1800, 300), (960, 160), (1600, 267)),
        ((100, 50), (100, 50), (100, 50)),
    ],
)
def test_renditions_fit_their_boxes_and_are_never_enlarged(size, grid, preview) -> None:
    made = renditions(prepare(pictures.jpeg(*size), SPEC))

    assert (made.grid.width, made.grid.height) == grid
    assert (made.preview.width, made.preview.height) == preview
    assert {file.name for file in made.files} == {"grid.jpg", "preview.jpg"}
    for file in made.files:
        assert decoded(file.data).shape == (file.height, file.width, 3)


def test_renditions_have_the_colours_of_the_picture() -> None:
    made = renditions(prepare(pictures.encoded(pictures.corners(), "PNG"), SPEC))

    assert difference(decoded(made.preview.data), pictures.corners()) < 8


def test_the_placeholder_is_a_tiny_picture_in_a_data_address() -> None:
    import base64  # noqa: PLC0415 - for this test alone

    placeholder = renditions(prepare(pictures.jpeg(2400, 1800), SPEC)).placeholder
    kind, _, data = placeholder.partition(",")

    assert kind == "data:image/jpeg;base64"
    assert decoded(base64.b64decode(data)).shape == (18, 24, 3)
    assert len(placeholder) < 1500


@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_a_picture_of_one_pixel_has_renditions_too(format_name: str) -> None:
    made = renditions(prepare(pictures.one_pixel(format_name), SPEC))

    assert (made.grid.width, made.grid.height) == (1, 1)


def test_a_line_of_one_pixel_height_keeps_its_height() -> None:
    made = renditions(prepare(pictures.encoded(pictures.scene(5000, 1), "PNG"), SPEC))

    assert (made.preview.width, made.preview.height) == (1600, 1)
