"""The labelled photographs as a data set: what their words say of tags, and what they leave open."""

from __future__ import annotations

import os
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from model_training.config import load_config
from model_training.datasets.examples import DataSet
from model_training.photographs import NoPhotographsError, labelled, photographs
from model_training.vocabulary.tags import slugify

FOLDER = Path(os.environ.get("VITRINE_DATA", "../shared/data")) / "photos"


@pytest.fixture(scope="module")
def data() -> DataSet:
    if not FOLDER.is_dir():
        pytest.skip("VITRINE_DATA names no labelled photographs")
    return labelled(FOLDER)


def _of(data: DataSet, source: str) -> DataSet:
    return DataSet(data.labels, data.names, tuple(e for e in data.examples if e.source == source))


def test_every_word_of_the_mapping_is_a_word_of_its_set(data: DataSet) -> None:
    mapping = tomllib.loads((files("model_training") / "photographs.toml").read_text(encoding="utf-8"))
    words: dict[str, set[str]] = {}
    for picture in photographs(FOLDER):
        words.setdefault(picture.collection, set()).update(picture.labels)
    named = [
        (name, word) for sets in mapping["tags"].values() for name, said in sets.items() for word in said
    ]
    assert [(name, word) for name, word in named if word not in words[name]] == []
    assert all(slugify(label) == label for label in data.labels)
    assert set().union(*mapping["absent"].values()) <= set(data.labels)


def test_people_are_told_from_pictures_with_and_without_them(data: DataSet) -> None:
    column = data.labels.index("person")
    for source, most in (("coco", 0.95), ("corel5k", 0.3), ("msrcv2", 0.3), ("miml5", 0.0)):
        targets, known = _of(data, source).targets()
        assert known[:, column].mean() > 0.9, source
        assert targets[:, column].sum() / known[:, column].sum() <= most, source


def test_what_a_set_does_not_speak_of_stays_unknown(data: DataSet) -> None:
    targets, known = _of(data, "coco").targets()
    sunset = data.labels.index("sunset")
    assert known[:, sunset].sum() == 0
    targets, known = _of(data, "corel5k").targets()
    tree = data.labels.index("tree")
    assert known[:, tree].sum() == targets[:, tree].sum() > 0, "other sets name their trees completely"


def test_what_is_no_sky_is_learned_where_a_small_set_alone_names_it_completely(data: DataSet) -> None:
    targets, known = _of(data, "corel5k").targets()
    sky = data.labels.index("sky")
    assert known[:, sky].all()
    assert 0 < targets[:, sky].sum() < 0.5 * len(targets)


def test_the_configuration_that_comes_along_is_one(data: DataSet) -> None:
    config = load_config(Path(str(files("model_training.configs") / "photographs.yaml")))
    assert set(config.data.drop_labels) <= set(data.labels)


def test_a_folder_without_photographs_is_told(tmp_path: Path) -> None:
    with pytest.raises(NoPhotographsError, match=r"labels\.csv"):
        labelled(tmp_path)
