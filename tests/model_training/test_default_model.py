from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from model_training.default_head import CARD
from model_training.default_model import build_default, default_vocabulary, is_complete, is_current
from tests.model_training import golden_scores
from tests.plugins.processes import stopped, wait_for


@pytest.fixture(scope="module")
def scores(exported: Any) -> dict[str, dict[str, float]]:
    return golden_scores.scores_of(exported)


def _build(folder: Path) -> str:
    said = io.StringIO()
    build_default(folder, console=Console(file=said, width=200))
    return said.getvalue()


def test_building_again_changes_nothing(version_dir: Path, model_dir: Path) -> None:
    before = (version_dir / "saved_model.pb").stat()
    said = _build(model_dir)
    after = (version_dir / "saved_model.pb").stat()
    assert "is there" in said
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_folder_without_its_extras_is_not_complete(version_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(version_dir, tmp_path / "1")
    assert is_complete(copy)
    (copy / "assets.extra" / "model.json").unlink()
    assert not is_complete(copy)


def _copy_of(version: Path, to: Path, **changed: str) -> Path:
    """A version with other facts beside it."""
    shutil.copytree(version, to)
    facts = to / "assets.extra" / "model.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), **changed}))
    return to


def test_a_default_model_of_an_earlier_recipe_stays_and_the_new_one_is_the_next_version(
    version_dir: Path, tmp_path: Path
) -> None:
    base = tmp_path / "tagger"
    old = _copy_of(version_dir, base / "1", name="efficientnet-lite2-imagenet1k", vocabulary_id="old-1")
    before = (old / "assets.extra" / "model.json").read_bytes()
    assert is_complete(old)
    assert not is_current(old)
    assert "is ready" in _build(tmp_path)
    assert is_current(base / "2")
    assert (old / "assets.extra" / "model.json").read_bytes() == before
    assert "is there" in _build(tmp_path)
    assert sorted(path.name for path in base.iterdir()) == ["1", "2"]


def test_heads_of_another_threshold_are_another_recipe(version_dir: Path, tmp_path: Path) -> None:
    assert is_current(version_dir)
    assert not is_current(_copy_of(version_dir, tmp_path / "1", vocabulary_id="imagenet1k-wordnet-heads-0"))


def test_heads_of_other_weights_are_another_recipe(version_dir: Path, tmp_path: Path) -> None:
    assert not is_current(_copy_of(version_dir, tmp_path / "1", heads_id="photographs-0"))


def test_a_model_that_somebody_trained_is_not_put_aside(version_dir: Path, tmp_path: Path) -> None:
    base = tmp_path / "tagger"
    _copy_of(version_dir, base / "1", name="efficientnet-lite2-imagenet1k")
    _copy_of(version_dir, base / "2", name="our-own")
    assert "another model" in _build(tmp_path)
    assert sorted(path.name for path in base.iterdir()) == ["1", "2"]


def test_the_model_card_lies_beside_the_model(version_dir: Path) -> None:
    card = (version_dir / "assets.extra" / CARD).read_text(encoding="utf-8")
    for said in ("COCO", "Corel 5k", "MIML", "MSRC v2", "Intel scenes", "No picture is shipped", "faces"):
        assert said in card


@pytest.mark.parametrize("picture", list(golden_scores.pictures()))
def test_answers_are_those_that_were_written_down(scores: dict[str, dict[str, float]], picture: str) -> None:
    expected = json.loads(golden_scores.FILE.read_text(encoding="utf-8"))[picture]
    found = {tag: scores[picture][tag] for tag in expected}
    assert found == pytest.approx(expected, abs=1e-3)


def test_no_tag_scores_below_its_child(scores: dict[str, dict[str, float]]) -> None:
    pairs = [(parent, tag.slug) for tag in default_vocabulary().tags for parent in tag.parents]
    for picture, of in scores.items():
        # Sums of the same numbers in another order differ in the last place.
        assert [pair for pair in pairs if of[pair[0]] < of[pair[1]] - 1e-6] == [], picture


def test_people_and_cats_are_seen_where_they_are(scores: dict[str, dict[str, float]]) -> None:
    person, cat = ({picture: of[tag] for picture, of in scores.items()} for tag in ("person", "cat"))
    assert person.pop("astronaut") > max(0.8, *person.values())
    assert cat.pop("chelsea") > max(0.9, *cat.values())


def test_there_is_one_dog_and_one_person_and_every_label_is_unique() -> None:
    vocabulary = default_vocabulary()
    names = Counter(tag.name.casefold() for tag in vocabulary.tags)
    assert names["dog"] == names["person"] == 1
    assert names.most_common(1)[0][1] == 1
    assert Counter(vocabulary.labels).most_common(1)[0][1] == 1
    kinds = {tag.slug: tag.trained for tag in vocabulary.tags}
    assert all(kinds[tag] for tag in golden_scores.TRAINED)
    assert not any(kinds[tag] for tag in golden_scores.SUMMED)


def test_a_build_that_is_killed_leaves_no_version_and_the_next_one_succeeds(tmp_path: Path) -> None:
    base = tmp_path / "tagger"
    command = [sys.executable, "-m", "model_training", "build-default", "--to", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with stopped(process):
        wait_for(lambda: any(base.glob(".1-*/model")), 240, "the build to begin writing")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (base / "1").exists()
    (abandoned,) = base.glob(".1-*")
    os.utime(abandoned, (0, 0))

    (base / "1").mkdir()  # as if somebody had copied half of it
    said = _build(tmp_path)
    assert "is ready" in said
    assert is_complete(base / "1")
    assert [path.name for path in base.iterdir()] == ["1"]
