"""Guards the exact pixels that networks are trained on and asked with.

A hash that changes means that a model trained before sees other pixels than it learned from: either
the change is an accident, or it needs a new preprocess id and models trained anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.ports import PreprocessSpec
from pipeline.preprocess import prepare
from tests.pipeline import pictures

SPEC = PreprocessSpec(id="squash-260", width=260, height=260)

# Exact encoders: these bytes mean the same pixels whatever version wrote them.
LOSSLESS = {
    "PNG": lambda: pictures.encoded(pictures.scene(700, 500), "PNG"),
    "WEBP": lambda: pictures.encoded(pictures.scene(700, 500), "WEBP", lossless=True),
    "TIFF": lambda: pictures.encoded(pictures.scene(700, 500), "TIFF"),
    "BMP": lambda: pictures.encoded(pictures.scene(700, 500), "BMP"),
    "16-bit PNG": pictures.sixteen_bit_png,
}
# Stored files, made from pictures.scene(): another version of an encoder would write other bytes.
STORED = ["scene.jpg", "large.jpg", "cmyk.jpg", "scene.webp", "scene.avif", "scene.heic", "scene.gif"]

GOLDEN = {
    "PNG": "06de3cc0b228feca3c48d36a90ed3530f22fd71867d383c5d188cd6447e7ffef",
    "WEBP": "06de3cc0b228feca3c48d36a90ed3530f22fd71867d383c5d188cd6447e7ffef",
    "TIFF": "06de3cc0b228feca3c48d36a90ed3530f22fd71867d383c5d188cd6447e7ffef",
    "BMP": "06de3cc0b228feca3c48d36a90ed3530f22fd71867d383c5d188cd6447e7ffef",
    "16-bit PNG": "ce3233a02a994958e14a9f4ac28ea9f71f3f65be27953b7c7f0b302875b8e457",
    "scene.jpg": "c36a3de4584c34d7ddea47866b2237f1dece24402f353a31446afc71f02433c1",
    "large.jpg": "7af7b31105634f332c76aba0217c046952bd93b2f62502fce36ec245d991b854",
    "cmyk.jpg": "b0fb28400032d6a81a84f29fd51a2a9dbf303650c9ce1b30bb1b049217c083bf",
    "scene.webp": "40bdc7acf8abdce252cad8f3c25f72b45df296b847f0e496c8d0b36d9987617b",
    "scene.avif": "61756a286ca867614611e49db899e37aaa121d04235347f0546f649165ae5bb9",
    "scene.heic": "f7914fb3ea3fee621b9033f8a5d73f5f17c6039188c012f93b1663ca1ae205a7",
    "scene.gif": "5caa652a4a6a3c1d118783900e0fd8def07c43b4517f8924752f7727f1f5a8f3",
}


def sha256(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_network_sees_exactly_these_pixels_of_a_lossless_picture(name: str) -> None:
    assert sha256(prepare(LOSSLESS[name](), SPEC).pixels) == GOLDEN[name]


@pytest.mark.parametrize("name", STORED)
def test_the_network_sees_exactly_these_pixels_of_a_stored_file(name: str) -> None:
    data = (Path(__file__).parent / "golden" / name).read_bytes()

    assert sha256(prepare(data, SPEC).pixels) == GOLDEN[name]


def test_the_same_bytes_give_the_same_pixels_every_time() -> None:
    data = (Path(__file__).parent / "golden" / "large.jpg").read_bytes()

    assert len({sha256(prepare(data, SPEC).pixels) for _ in range(3)}) == 1
