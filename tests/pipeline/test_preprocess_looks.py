"""Fingerprints and colours: what survives re-encoding, and what people would say."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import COLOUR_NAMES, Looks, looks_of, prepare
from tests.pipeline import pictures
from tests.pipeline.preparing import SPEC


def looks(data: bytes, spec: PreprocessSpec = SPEC) -> Looks:
    return looks_of(prepare(data, spec))


def plain(shade: str) -> bytes:
    return pictures.encoded(Image.new("RGB", (64, 48), shade), "PNG")


def bits_between(one: Looks, other: Looks) -> int:
    assert one.fingerprint is not None
    assert other.fingerprint is not None
    return ((one.fingerprint ^ other.fingerprint) & (2**64 - 1)).bit_count()


def saved(picture: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def originals(photos: list[Path]) -> list[Image.Image]:
    """Photographs of different things; two are frames of one scene, which no test tells apart."""
    found = [Image.open(path).convert("RGB") for path in photos if path.name != "motorcycle_right.png"]
    for picture in found:
        picture.thumbnail((512, 512))
    return found


CHANGES = {
    "recompressed": lambda picture: saved(picture, quality=50),
    "half as large": lambda picture: saved(picture.reduce(2), quality=85),
    "twice as large": lambda picture: saved(picture.resize((picture.width * 2, picture.height * 2))),
    "brighter": lambda picture: saved(ImageEnhance.Brightness(picture).enhance(1.1)),
    "grey": lambda picture: saved(picture.convert("L")),
    "WebP": lambda picture: pictures.encoded(picture, "WEBP", quality=70),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_keeps_the_fingerprint_within_seven_bits(change: str, originals: list[Image.Image]) -> None:
    for picture in originals:
        original = looks(saved(picture, quality=95))
        if original.fingerprint is not None:
            assert bits_between(original, looks(CHANGES[change](picture))) <= 7


def test_different_photographs_have_different_fingerprints(originals: list[Image.Image]) -> None:
    found = [looks(saved(picture)) for picture in originals]
    found = [each for each in found if each.fingerprint is not None]

    assert len(found) >= 15
    for index, one in enumerate(found):
        assert min((bits_between(one, other) for other in found[:index]), default=64) > 7


def test_another_input_of_the_network_hardly_changes_the_fingerprint(originals: list[Image.Image]) -> None:
    other = PreprocessSpec(id="squash-224", width=224, height=224)
    for picture in originals:
        data = saved(picture, quality=90)
        if looks(data).fingerprint is not None:
            assert bits_between(looks(data), looks(data, other)) <= 3


def test_a_turned_file_has_the_looks_of_the_upright_picture() -> None:
    upright = np.rot90(pictures.scene(640, 480), k=1)  # EXIF 6: turn it a quarter to the right to look at it

    turned = looks(pictures.oriented(6, "PNG", np.ascontiguousarray(upright)))

    assert turned == looks(pictures.encoded(pictures.scene(640, 480), "PNG"))


@pytest.mark.parametrize("format_name", ["PNG", "JPEG"])
def test_a_picture_of_one_pixel_has_a_colour_and_no_fingerprint(format_name: str) -> None:
    assert looks(pictures.one_pixel(format_name)) == Looks(fingerprint=None, colours=("red",))


def test_a_plain_picture_or_an_even_gradient_has_no_fingerprint() -> None:
    gradient = np.tile(np.arange(256, dtype=np.uint8), (64, 1))

    assert looks(plain("#88aacc")).fingerprint is None
    assert looks(pictures.encoded(Image.fromarray(gradient), "PNG")).fingerprint is None


@pytest.mark.parametrize(
    ("shade", "name"),
    [
        *(("#d01020", "red"), ("#8b0000", "red"), ("#ff8800", "orange"), ("#ffdd00", "yellow")),
        *(("#2e8b57", "green"), ("#556b2f", "green"), ("#009090", "teal"), ("#40e0d0", "teal")),
        *(("#87ceeb", "blue"), ("#000080", "blue"), ("#4682b4", "blue"), ("#6a0dad", "purple")),
        *(("#ff69b4", "pink"), ("#ffc0cb", "pink"), ("#8b4513", "brown"), ("#c19a6b", "brown")),
        *(("#000000", "black"), ("#808080", "grey"), ("#c0c0c0", "grey"), ("#ffffff", "white")),
        ("#f5f5dc", "white"),
    ],
)
def test_a_shade_has_the_name_that_people_give_it(shade: str, name: str) -> None:
    assert looks(plain(shade)).colours == (name,)


def test_every_name_is_one_of_the_twelve_that_searches_know() -> None:
    assert set(COLOUR_NAMES) == {
        *("red", "orange", "yellow", "green", "teal", "blue"),
        *("purple", "pink", "brown", "black", "grey", "white"),
    }


def striped(*parts: tuple[str, int]) -> NDArray[np.uint8]:
    """Stripes beside each other, each of a colour and so many columns."""
    stripes = [np.array(Image.new("RGB", (columns, 60), shade)) for shade, columns in parts]
    return np.concatenate(stripes, axis=1)


def test_the_largest_colours_come_first_and_at_most_four() -> None:
    data = pictures.encoded(
        striped(("blue", 40), ("#00a000", 25), ("red", 15), ("#ffe000", 12), ("#8000a0", 8)), "PNG"
    )

    assert looks(data).colours == ("blue", "green", "red", "yellow")


def test_a_spot_of_colour_counts_and_a_spot_of_grey_does_not() -> None:
    assert looks(pictures.encoded(striped(("white", 95), ("red", 5)), "PNG")).colours == ("white", "red")
    assert looks(pictures.encoded(striped(("red", 92), ("#888888", 8)), "PNG")).colours == ("red",)
