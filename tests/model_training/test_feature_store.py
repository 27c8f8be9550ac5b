"""The store of a backbone's features: computed once, shared only where they are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.training.feature_store import FeatureStore, feature_store
from tests.plugins.tiny_trainings import tiny_config, tiny_pictures, train_tiny, training

PICTURES = ("aa", "bb", "cc")
WEIGHTS = (np.arange(6, dtype=np.float32), np.ones(3, np.float32))
PARTS = (np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6]], np.float32))
WHOLE = np.concatenate(PARTS)


class Computing:
    """Gives the parts and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Iterator[NDArray[np.float32]]:
        self.asked += 1
        yield from PARTS


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return feature_store(tmp_path, PICTURES, "squash-32-1")


def stored(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_features_are_computed_once_and_then_read(store: FeatureStore, tmp_path: Path) -> None:
    computing = Computing()
    first = store.features(WEIGHTS, "none", computing)
    again = feature_store(tmp_path, PICTURES, "squash-32-1").features(WEIGHTS, "none", computing)
    assert computing.asked == 1
    assert np.array_equal(first, WHOLE)
    assert np.array_equal(again, WHOLE)
    assert not again.flags.writeable, "one run must not change what another one reads"


@pytest.mark.parametrize(
    ("prepared", "backbone"),
    [
        ((("aa", "bb", "dd"), "squash-32-1"), (WEIGHTS, "none")),
        ((("bb", "aa", "cc"), "squash-32-1"), (WEIGHTS, "none")),
        ((PICTURES, "squash-64-1"), (WEIGHTS, "none")),
        ((PICTURES, "squash-32-1"), ((WEIGHTS[0], WEIGHTS[1] * 2), "none")),
        ((PICTURES, "squash-32-1"), (WEIGHTS, "bfloat16")),
    ],
    ids=["other pictures", "another order", "another size", "other weights", "another precision"],
)
def test_features_of_something_else_are_not_taken(
    store: FeatureStore, tmp_path: Path, prepared: Any, backbone: Any
) -> None:
    store.features(WEIGHTS, "none", Computing())
    computing = Computing()
    feature_store(tmp_path, *prepared).features(*backbone, computing)
    assert computing.asked == 1
    assert len(stored(tmp_path)) == 2


def test_a_computation_that_fails_half_way_leaves_nothing_behind(store: FeatureStore, tmp_path: Path) -> None:
    def failing() -> Iterator[NDArray[np.float32]]:
        yield PARTS[0]
        raise MemoryError

    with pytest.raises(MemoryError):
        store.features(WEIGHTS, "none", failing)
    assert stored(tmp_path) == []
    assert np.array_equal(store.features(WEIGHTS, "none", Computing()), WHOLE)


def test_a_file_that_was_half_written_when_its_process_was_killed_is_not_taken(
    store: FeatureStore, tmp_path: Path
) -> None:
    store.features(WEIGHTS, "none", Computing())
    (file,) = stored(tmp_path)
    # As it lies there between the writing and the rename.
    file.with_name(f".{file.stem}-0123.npy").write_bytes(file.read_bytes()[:-4])
    file.unlink()
    computing = Computing()
    assert np.array_equal(store.features(WEIGHTS, "none", computing), WHOLE)
    assert computing.asked == 1


def test_trainings_share_features_where_backbone_and_pictures_are_the_same(tmp_path: Path) -> None:
    pictures = tiny_pictures()
    names = [str(number) for number in range(len(pictures.pixels))]
    kept = replace(pictures, store=feature_store(tmp_path / "data", names, "drawn"))
    settings = training(head=1, fine_tune=0)
    _, without = train_tiny(tmp_path / "without", tiny_config(training=settings), pictures)
    _, first = train_tiny(tmp_path / "first", tiny_config(training=settings), kept)
    (file,) = stored(tmp_path / "data")
    written = file.stat()
    assert np.load(file).shape == (len(names), 16)

    _, second = train_tiny(tmp_path / "second", tiny_config(training=settings), kept)
    assert stored(tmp_path / "data") == [file]
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    for one, other, third in zip(without, first, second, strict=True):
        assert np.array_equal(one, other)
        assert np.array_equal(other, third)

    # A seed draws other weights for this backbone.
    train_tiny(tmp_path / "third", tiny_config(training={**settings, "seed": 1}), kept)
    assert len(stored(tmp_path / "data")) == 2
