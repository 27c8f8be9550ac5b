"""The smaller pictures that are made for people, and the placeholder."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.preprocess import prepare, renditions
from tests.pipeline import pictures
from tests.pipeline.preparing import SPEC, difference


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
