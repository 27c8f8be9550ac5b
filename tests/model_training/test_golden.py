"""The golden request: written with every export, and what counts as the same answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_training.golden import Golden, GoldenError, check, golden_pictures, read_golden, write_golden
from model_training.serving_protos import tf
from tests.plugins.tiny_models import SIDE, write_tiny_model


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("golden") / "1", 0.25)
    (folder / "assets.extra").mkdir()
    write_golden(folder, height=SIDE, width=SIDE)
    return folder


@pytest.fixture(scope="module")
def golden(version: Path) -> Golden:
    return read_golden((version / "assets.extra" / "golden.npz").read_bytes())


def test_the_default_model_answers_its_golden_request(version_dir: Path, exported: Any) -> None:
    golden = read_golden((version_dir / "assets.extra" / "golden.npz").read_bytes())
    assert golden.images.shape == (4, 260, 260, 3)
    found = exported.signatures["serving_default"](images=tf.constant(golden.images))
    check(found["scores"].numpy(), found["embedding"].numpy(), golden)
    # Pictures that all look the same to the network would prove little.
    likeness = golden.embedding @ golden.embedding.T
    assert likeness[~np.eye(4, dtype=bool)].max() < 0.9


def test_the_pictures_are_the_same_each_time_and_differ_from_each_other() -> None:
    pictures = golden_pictures(30, 50)
    assert (pictures.shape, pictures.dtype) == ((4, 30, 50, 3), np.uint8)
    np.testing.assert_array_equal(pictures, golden_pictures(30, 50))
    assert len({picture.tobytes() for picture in pictures}) == 4
    assert pictures.min() < 30
    assert pictures.max() > 220


def test_what_is_written_is_what_the_version_answers(golden: Golden) -> None:
    np.testing.assert_array_equal(golden.images, golden_pictures(SIDE, SIDE))
    brightest = golden.images.max(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(golden.scores, np.stack([np.full(4, 0.25), brightest], axis=1), rtol=1e-6)
    np.testing.assert_allclose(golden.embedding, [[0.6, 0.8]] * 4)


def test_other_processors_may_round_differently(golden: Golden) -> None:
    turned = golden.embedding + np.float32([0.01, 0])
    check(golden.scores + np.float32(0.019), turned, golden)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": lambda scores: scores + 0.03}, "differs by 0.030"),
        ({"scores": lambda scores: scores[:, ::-1]}, "differs by"),
        ({"scores": lambda scores: scores[:, :1]}, r"of shape \(4, 1\), not \(4, 2\)"),
        ({"scores": lambda scores: scores * np.nan}, "no numbers"),
        ({"embedding": lambda embedding: embedding[:, ::-1]}, "cosine of 0.96"),
        ({"embedding": lambda embedding: embedding * 0}, "cosine of 0.0"),
        ({"embedding": lambda embedding: embedding[:3]}, r"of shape \(3, 2\)"),
    ],
)
def test_another_answer_is_refused_in_a_sentence(golden: Golden, change: dict[str, Any], said: str) -> None:
    answer = {"scores": golden.scores, "embedding": golden.embedding}
    answer |= {name: function(answer[name]) for name, function in change.items()}
    with pytest.raises(GoldenError, match=said):
        check(answer["scores"], answer["embedding"], golden)


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of arrays",
        _npz(images=np.zeros((1, 4, 4, 3), np.uint8)),
        _npz(images=np.zeros((1, 4, 4, 3), np.uint8), scores=np.zeros((2, 2)), embedding=np.zeros((2, 2))),
        _npz(images=np.array([{}]), scores=np.zeros((1, 2)), embedding=np.zeros((1, 2))),
    ],
)
def test_a_file_that_is_no_golden_request_is_refused(content: bytes) -> None:
    with pytest.raises(GoldenError, match=r"golden\.npz"):
        read_golden(content)
