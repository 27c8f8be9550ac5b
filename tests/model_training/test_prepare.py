from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from model_training.config import CocoSource, Config, CsvSource, Data, DecisionsSource, Input, Source, Split
from model_training.datasets.errors import DataError
from model_training.datasets.examples import targets_of
from model_training.datasets.prepare import prepare, try_prepare
from model_training.datasets.prepared import Prepared, load_prepared
from model_training.export import square_squash
from pipeline.preprocess import prepare as prepare_picture
from tests.plugins.toy_pictures import DRAWN, LABELS, NEAR_DUPLICATES, ToyPictures

SIZE = 32


@pytest.fixture
def console() -> Console:
    return Console(quiet=True)


def config(*sources: Source, split: Split | None = None, size: int = SIZE, **data: object) -> Config:
    return Config(
        name="toy", data=Data(sources=sources, split=split or Split(), **data), input=Input(size=size)
    )


def coco(toy: ToyPictures) -> CocoSource:
    return CocoSource(kind="coco", images=toy.images, annotations=toy.coco)


@pytest.fixture(scope="module")
def prepared(toy_pictures, tmp_path_factory) -> Prepared:
    to = tmp_path_factory.mktemp("prepared")
    return prepare(config(coco(toy_pictures)), to, Console(quiet=True))


class Table:
    """Pictures of a test's own, in a folder with a table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[tuple[str, str]] = []
        self._random = np.random.default_rng(5)

    def add(self, name: str, labels: str, data: bytes | None = None, *, size: int = 40) -> bytes:
        if data is None:
            pixels = self._random.integers(0, 255, (size, size, 3), np.uint8)
            data = cv2.imencode(".png", pixels)[1].tobytes()
        (self.folder / name).write_bytes(data)
        self.rows.append((name, labels))
        return data

    def source(self, *, complete: bool = True) -> CsvSource:
        with (self.folder / "t.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("file", "labels"), *self.rows])
        return CsvSource(kind="csv", file=self.folder / "t.csv", images=self.folder, complete=complete)


@pytest.fixture
def table(tmp_path) -> Table:
    """Twenty good pictures, half of them with a cat."""
    (tmp_path / "pictures").mkdir()
    made = Table(tmp_path / "pictures")
    for number in range(20):
        made.add(f"{number}.png", ("cat", "dog")[number % 2])
    return made


# ---------------------------------------------------------------- what is written


def test_what_is_known_survives_the_folder(toy_pictures, prepared):
    assert prepared.labels == tuple(LABELS)
    assert prepared.names == LABELS
    by_name = {example.path.name: example for example in prepared.examples}
    assert {name: frozenset(example.positive) for name, example in by_name.items()} == toy_pictures.labels
    assert all(set(each.negative) == LABELS.keys() - set(each.positive) for each in prepared.examples)
    assert all((each.width, each.height) == (96, 72) for each in prepared.examples)
    assert all(0.3 < each.brightness < 0.8 for each in prepared.examples)
    targets, known = prepared.targets()
    assert np.array_equal(targets, targets_of(prepared.examples, list(LABELS))[0])
    assert known.all()


def test_every_picture_is_in_one_split_and_every_split_has_every_label(prepared):
    rows = [prepared.rows(split) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(prepared.examples)))
    targets, _ = prepared.targets()
    for some, share in zip(rows, (0.7, 0.15, 0.15), strict=True):
        assert abs(len(some) / len(targets) - share) < 0.05
        assert targets[some].any(axis=0).all()
    with pytest.raises(ValueError, match="no split 'dev'"):
        prepared.rows("dev")


def test_near_duplicates_are_in_one_split(prepared):
    by_name = {example.path.name: example for example in prepared.examples}
    for number in range(NEAR_DUPLICATES):
        original, copy = by_name[f"{number:02}.jpg"], by_name[f"{DRAWN + number:02}.jpg"]
        assert (original.group, original.split) == (copy.group, copy.split)
    assert len({example.group for example in prepared.examples}) == DRAWN


def test_the_pixels_are_those_that_serving_makes(prepared, console):
    for size in (SIZE, 48):  # the second one is made when it is asked for
        spec = square_squash(size)
        pixels = prepared.pixels(spec, console)
        assert pixels.shape == (len(prepared.examples), size, size, 3)
        for row in (0, 41, len(prepared.examples) - 1):
            served = prepare_picture(prepared.examples[row].path.read_bytes(), spec).pixels
            assert np.array_equal(pixels[row], served)


def test_pixels_are_made_once(prepared, console):
    spec = square_squash(40)
    prepared.pixels(spec, console)
    file = prepared.folder / "pixels" / f"{spec.id}.u8"
    before = file.stat().st_mtime_ns
    load_prepared(prepared.folder).pixels(spec, console)
    assert file.stat().st_mtime_ns == before


def test_the_report_counts_labels_pairs_and_leaks(prepared):
    report = json.loads((prepared.folder / "report.json").read_text())
    targets, _ = prepared.targets()
    for column, label in enumerate(report["labels"]):
        for split in ("train", "validation", "test"):
            shown = targets[prepared.rows(split), column]
            assert label["positives"][split] == shown.sum()
            assert label["negatives"][split] == (1 - shown).sum()
            assert label["unknown"][split] == 0
    most = report["co_occurrence"][0]
    columns = [prepared.labels.index(label) for label in most["labels"]]
    assert most["pictures"] == targets[:, columns].all(axis=1).sum()
    shares = targets[:, columns].mean(axis=0)
    assert most["lift"] == pytest.approx(most["pictures"] / len(targets) / shares.prod(), abs=0.01)
    assert report["imbalance"]["all_negative_accuracy"] == pytest.approx(1 - targets.mean(), abs=1e-4)
    assert report["leaks"]["near_duplicate_groups"] == NEAR_DUPLICATES
    assert report["leaks"]["groups_across_splits"] == 0
    assert report["leaks"]["closest_across_splits"]["bits"] > 8
    assert report["warnings"] == []
    assert "| red disc |" in (prepared.folder / "report.md").read_text()


def test_the_same_data_has_the_same_hash_and_splits_wherever_it_lies(
    toy_pictures, prepared, tmp_path, console
):
    shutil.copytree(toy_pictures.images, tmp_path / "images")
    moved = CocoSource(kind="coco", images=tmp_path / "images", annotations=toy_pictures.coco)
    again = prepare(config(moved, size=48), tmp_path / "prepared", console)
    assert again.data_hash == prepared.data_hash
    assert [each.split for each in again.examples] == [each.split for each in prepared.examples]


def test_another_label_or_split_is_other_data(toy_pictures, prepared, tmp_path, console):
    fewer = config(coco(toy_pictures), drop_labels=("red-disc",))
    assert prepare(fewer, tmp_path / "fewer", console).data_hash != prepared.data_hash
    elsewhere = config(coco(toy_pictures), split=Split(seed=1))
    assert prepare(elsewhere, tmp_path / "elsewhere", console).data_hash != prepared.data_hash


def test_a_folder_can_be_moved_with_its_pictures(table, tmp_path, console):
    prepare(config(table.source()), tmp_path / "prepared", console)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("pictures", "prepared"):
        (tmp_path / name).rename(home / name)
    moved = load_prepared(home / "prepared")
    assert moved.pixels(square_squash(48), console).shape == (20, 48, 48, 3)


def test_preparing_other_pictures_into_a_folder_replaces_everything(table, toy_pictures, tmp_path, console):
    to = tmp_path / "prepared"
    prepare(config(coco(toy_pictures)), to, console).pixels(square_squash(48), console)
    again = prepare(config(table.source()), to, console)
    assert len(again.examples) == len(again.pixels(square_squash(SIZE), console)) == 20
    assert sorted(path.name for path in (to / "pixels").iterdir()) == [
        f"{square_squash(SIZE).id}.json",
        f"{square_squash(SIZE).id}.u8",
    ]


def test_trying_writes_nothing_and_says_what_would_be_learned(table, console):
    before = sorted(table.folder.parent.rglob("*"))
    source = table.source()
    report = try_prepare(config(source), console)
    assert report["pictures"]["all"] == 20
    assert sorted(table.folder.parent.rglob("*")) == sorted([*before, source.file])


# ---------------------------------------------------------------- what is wrong


def test_a_missing_picture_is_named_and_nothing_is_written(table, tmp_path, console):
    (table.folder / "7.png").unlink()
    with pytest.raises(DataError, match=r"1 of 20 pictures are missing(.|\n)*7\.png"):
        prepare(config(table.source()), tmp_path / "prepared", console)
    assert not (tmp_path / "prepared").exists()


def test_corrupt_pictures_are_listed_and_skipped(table, tmp_path, console):
    whole = table.add("whole.png", "cat")
    table.add("half.png", "cat", whole[: len(whole) // 2])
    table.add("text.png", "dog", b"no picture")
    done = prepare(config(table.source(), max_corrupt_share=0.1), tmp_path / "prepared", console)
    stored = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    assert [Path(each["path"]).name for each in stored["skipped"]] == ["half.png", "text.png"]
    assert all(each["reason"] for each in stored["skipped"])
    names = [example.path.name for example in done.examples]
    assert names == [*(f"{number}.png" for number in range(20)), "whole.png"]
    last = prepare_picture(whole, square_squash(SIZE)).pixels
    assert np.array_equal(done.pixels(square_squash(SIZE), console)[-1], last)


def test_too_many_corrupt_pictures_are_an_error(table, tmp_path, console):
    table.add("text.png", "dog", b"no picture")
    with pytest.raises(DataError, match=r"1 of 21 pictures cannot be read(.|\n)*text\.png"):
        prepare(config(table.source(), max_corrupt_share=0.02), tmp_path / "prepared", console)
    assert not list((tmp_path / "prepared").rglob("*.*"))


def test_a_picture_with_a_short_side_has_the_wrong_resolution(table, tmp_path, console):
    table.add("tiny.png", "dog", size=16)
    with pytest.raises(DataError, match=r"wrong resolution(.|\n)*tiny\.png: 16 × 16"):
        prepare(config(table.source()), tmp_path / "prepared", console)
    done = prepare(config(table.source(), min_side=16), tmp_path / "prepared", console)
    assert len(done.examples) == 21


def test_a_label_with_too_few_pictures_is_an_error(table, tmp_path, console):
    table.add("one.png", "unicorn")
    table.add("text.png", "ghost", b"no picture")
    source = table.source()
    with pytest.raises(DataError, match=r"too few(.|\n)*ghost: 0"):
        prepare(config(source, max_corrupt_share=0.5), tmp_path / "prepared", console)
    with pytest.raises(DataError, match=r"\(5 are needed\)(.|\n)*unicorn: 1"):
        prepare(config(source, max_corrupt_share=0.5, min_positives=5), tmp_path / "prepared", console)


def test_identical_bytes_count_once_and_contradictions_are_unknown(table, tmp_path, console):
    data = table.add("a.png", "cat;bird")
    table.add("b.png", "dog;bird", data)
    done = prepare(config(table.source()), tmp_path / "prepared", console)
    assert len(done.examples) == len(done.pixels(square_squash(SIZE), console)) == 21
    assert (done.examples[-1].positive, done.examples[-1].negative) == (("bird",), ())
    leaks = json.loads((tmp_path / "prepared" / "report.json").read_text())["leaks"]
    assert leaks["identical_files"] == 1
    (contradiction,) = leaks["contradictions"]
    assert contradiction.endswith("b.png: cat, dog")


def test_other_bytes_than_those_decided_on_are_refused(toy_pictures, tmp_path, console):
    shutil.copytree(toy_pictures.decided_images, tmp_path / "pictures")
    one, other, *_ = sorted((tmp_path / "pictures").iterdir())
    shutil.copy(one, other)
    source = DecisionsSource(kind="decisions", file=toy_pictures.decisions, images=tmp_path / "pictures")
    with pytest.raises(DataError, match=rf"other bytes(.|\n)*{other.name}"):
        prepare(config(source), tmp_path / "prepared", console)


def test_a_picture_that_changes_afterwards_is_refused(table, tmp_path, console):
    done = prepare(config(table.source()), tmp_path / "prepared", console)
    shutil.copy(table.folder / "3.png", table.folder / "4.png")
    assert len(done.pixels(square_squash(SIZE), console)) == 20  # what was made is still right
    with pytest.raises(DataError, match=r"4\.png is not what it was"):
        done.pixels(square_squash(48), console)
    (table.folder / "4.png").unlink()
    with pytest.raises(DataError, match=r"4\.png cannot be read"):
        done.pixels(square_squash(48), console)


def test_splits_that_leave_nothing_to_learn_from_are_refused(table, tmp_path, console):
    with pytest.raises(DataError, match="leave nothing to learn from"):
        prepare(config(table.source(), split=Split(validation=0.5, test=0.5)), tmp_path / "p", console)


def test_a_folder_that_nobody_prepared_is_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no prepared data: dataset\.json"):
        load_prepared(tmp_path)
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match="prepare again"):
        load_prepared(tmp_path)


def test_labels_that_a_split_lacks_are_warned_of(table, tmp_path, console):
    table.add("one.png", "unicorn")
    prepare(config(table.source()), tmp_path / "prepared", console)
    warnings = json.loads((tmp_path / "prepared" / "report.json").read_text())["warnings"]
    assert "validation has not a picture with unicorn" in warnings
    assert not any("train" in warning for warning in warnings)
