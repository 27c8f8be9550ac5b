from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from model_training.config import (
    CocoSource,
    CsvSource,
    Data,
    DecisionsSource,
    FolderSource,
    Source,
    VocSource,
)
from model_training.datasets.errors import DataError
from model_training.datasets.examples import DataSet
from model_training.datasets.sources import read_sources
from tests.plugins.toy_pictures import LABELS, ToyPictures


def read(*sources: Source, **data: object) -> DataSet:
    return read_sources(Data(sources=sources, **data))


def coco(toy: ToyPictures) -> CocoSource:
    return CocoSource(kind="coco", images=toy.images, annotations=toy.coco)


def table(path: Path, *rows: dict[str, str], **options: object) -> CsvSource:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return CsvSource(kind="csv", file=path, images=path.parent, **options)


def known_of(data: DataSet) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    return {example.path.name: (example.positive, example.negative) for example in data.examples}


# ---------------------------------------------------------------- formats


def test_coco_voc_and_a_table_of_the_same_pictures_say_the_same(toy_pictures):
    everything = frozenset(LABELS)
    expected = {name: (labels, everything - labels) for name, labels in toy_pictures.labels.items()}
    for source in (
        coco(toy_pictures),
        VocSource(kind="voc", folder=toy_pictures.voc),
        CsvSource(kind="csv", file=toy_pictures.csv, images=toy_pictures.images),
    ):
        data = read(source)
        assert known_of(data) == expected
        assert data.names == LABELS
        assert all(example.path.is_file() for example in data.examples)


def test_folders_name_the_only_label_of_their_pictures(toy_pictures):
    data = read(FolderSource(kind="folder", folder=toy_pictures.folders))
    single = {name: labels for name, labels in toy_pictures.labels.items() if len(labels) == 1}
    assert known_of(data) == {name: (labels, LABELS.keys() - labels) for name, labels in single.items()}
    incomplete = read(FolderSource(kind="folder", folder=toy_pictures.folders, complete=False))
    assert {example.negative for example in incomplete.examples} == {frozenset()}


def test_what_nobody_decided_on_is_unknown(toy_pictures):
    source = DecisionsSource(
        kind="decisions", file=toy_pictures.decisions, images=toy_pictures.decided_images
    )
    data = read(source, labels=tuple(LABELS))
    lines = [json.loads(line) for line in toy_pictures.decisions.read_text().splitlines()[1:]]
    targets, known = data.targets()
    column = {label: position for position, label in enumerate(data.labels)}
    for row, line in enumerate(lines):
        (undecided,) = line["unknown"]
        assert known[row].sum() == 3
        assert known[row, column[undecided]] == 0
        assert {label for label in LABELS if targets[row, column[label]]} == set(line["accepted"])


def test_assets_without_a_decision_need_no_picture(tmp_path):
    header = {"vitrine": "decisions", "format": 1, "tags": {"cat": "cat", "dog": "dog"}}
    line = {"asset": 1, "sha256": "0" * 64, "file": "gone.jpg", "accepted": [], "rejected": []}
    decided = {**line, "sha256": "1" * 64, "file": "one.jpg", "rejected": ["cat"]}
    file = tmp_path / "decisions.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in (header, line, decided)) + "\n")
    data = read(DecisionsSource(kind="decisions", file=file, images=tmp_path))
    assert [example.path for example in data.examples] == [tmp_path / "one.jpg"]
    assert data.labels == ("cat",)


def test_difficult_objects_of_voc_are_unknown(tmp_path):
    (tmp_path / "Annotations").mkdir()
    for name, things in {"a": [("Cat", 0), ("Dog", 1)], "b": [("Dog", 0), ("Dog", 1)], "c": []}.items():
        objects = "".join(
            f"<object><name>{word}</name><difficult>{difficult}</difficult></object>"
            for word, difficult in things
        )
        text = f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
    data = read(VocSource(kind="voc", folder=tmp_path))
    assert known_of(data) == {
        "a.jpg": ({"cat"}, set()),
        "b.jpg": ({"dog"}, {"cat"}),
        "c.jpg": (set(), {"cat", "dog"}),
    }


def test_a_table_names_negatives_and_sets_of_its_own(tmp_path):
    source = table(
        tmp_path / "t.csv",
        {"file": "a.jpg", "labels": "Sea; Beach", "negatives": "forest", "set": "north"},
        {"file": "b.jpg", "labels": "", "negatives": "sea", "set": ""},
        {"file": "c.jpg", "labels": "", "negatives": "", "set": ""},
        complete=False,
    )
    data = read(source)
    assert known_of(data) == {"a.jpg": ({"sea", "beach"}, {"forest"}), "b.jpg": (set(), {"sea"})}
    assert [example.source for example in data.examples] == ["north", "csv"]


# ---------------------------------------------------------------- together


def test_the_labels_of_another_source_are_unknown(toy_pictures, tmp_path):
    other = table(tmp_path / "t.csv", {"file": "a.jpg", "labels": "Red disc;snow"})
    data = read(coco(toy_pictures), other)
    assert data.labels == (*LABELS, "snow")
    targets, known = data.targets()
    assert np.all(known[:-1] == [1, 1, 1, 1, 0])
    assert known[-1].tolist() == [1, 0, 0, 0, 1]
    assert targets[-1].tolist() == [1, 0, 0, 0, 1]
    assert np.all(targets <= known)


def test_labels_come_in_the_order_that_is_asked_for_and_dropped_ones_not_at_all(toy_pictures):
    data = read(
        coco(toy_pictures), labels=("yellow-ring", "red-disc"), drop_labels=("green-square", "blue-triangle")
    )
    assert data.labels == ("yellow-ring", "red-disc")
    assert data.names == {"yellow-ring": "yellow ring", "red-disc": "red disc"}
    assert all(example.positive | example.negative == set(data.labels) for example in data.examples)


def test_a_label_that_is_neither_learned_nor_dropped_is_an_error(toy_pictures):
    with pytest.raises(DataError, match=r"unknown labels(.|\n)*blue-triangle"):
        read(coco(toy_pictures), labels=("red-disc", "green-square", "yellow-ring"))


@pytest.mark.parametrize("where", ["labels", "drop_labels"])
def test_a_label_that_no_source_has_is_an_error(toy_pictures, where):
    with pytest.raises(DataError, match=rf"data\.{where}(.|\n)*unicorn"):
        read(coco(toy_pictures), **{where: (*LABELS, "unicorn") if where == "labels" else ("unicorn",)})


# ---------------------------------------------------------------- broken files


def broken_coco(toy: ToyPictures, tmp_path: Path, **changes: object) -> CocoSource:
    content = json.loads(toy.coco.read_text()) | changes
    (tmp_path / "coco.json").write_text(json.dumps(content))
    return CocoSource(kind="coco", images=toy.images, annotations=tmp_path / "coco.json")


def test_an_annotation_of_what_is_not_listed_is_an_error(toy_pictures, tmp_path):
    for annotation, words in (
        ({"image_id": 999, "category_id": 1}, "image 999"),
        ({"image_id": 1, "category_id": 77}, "category 77"),
    ):
        with pytest.raises(DataError, match=words):
            read(broken_coco(toy_pictures, tmp_path, annotations=[annotation]))


def test_a_file_that_is_not_what_it_should_be_is_named(toy_pictures, tmp_path):
    text = tmp_path / "text"
    text.write_text("not what it should be")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation>")
    (tmp_path / "empty").mkdir()
    for source, words in (
        (CocoSource(kind="coco", images=tmp_path, annotations=text), "text is no JSON"),
        (CocoSource(kind="coco", images=tmp_path, annotations=tmp_path / "gone"), "gone cannot be read"),
        (broken_coco(toy_pictures, tmp_path, images=[{"id": 1}]), r"images\.0\.file_name"),
        (VocSource(kind="voc", folder=tmp_path), r"a\.xml is no XML"),
        (VocSource(kind="voc", folder=tmp_path / "empty"), "is that a folder of Pascal VOC"),
        (CsvSource(kind="csv", file=text, images=tmp_path), "no column file and no column labels"),
        (CsvSource(kind="csv", file=tmp_path / "gone", images=tmp_path), "gone cannot be read"),
        (FolderSource(kind="folder", folder=tmp_path / "empty"), "holds no folders with pictures"),
        (FolderSource(kind="folder", folder=tmp_path / "gone"), "gone cannot be read"),
        (DecisionsSource(kind="decisions", file=text, images=tmp_path), "export_claims"),
        (DecisionsSource(kind="decisions", file=tmp_path / "gone", images=tmp_path), "gone cannot be read"),
    ):
        with pytest.raises(DataError, match=words):
            read(source)


def test_entities_of_an_annotation_are_not_expanded(tmp_path):
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        '<!DOCTYPE annotation [<!ENTITY a "aaaa">]><annotation><filename>&a;</filename></annotation>'
    )
    with pytest.raises(DataError, match="document type"):
        read(VocSource(kind="voc", folder=tmp_path))


def test_a_line_of_decisions_that_cannot_be_read_is_named(toy_pictures, tmp_path):
    lines = toy_pictures.decisions.read_text().splitlines()
    file = tmp_path / "decisions.jsonl"
    fine = json.loads(lines[2])
    for broken, words in (
        ("{", "line 3"),
        (json.dumps(fine | {"sha256": "x"}), "line 3: sha256"),
        (json.dumps(fine | {"accepted": ["unicorn"]}), "does not name unicorn"),
    ):
        file.write_text("\n".join([*lines[:2], broken, *lines[3:]]))
        with pytest.raises(DataError, match=words):
            read(DecisionsSource(kind="decisions", file=file, images=toy_pictures.decided_images))


def test_a_label_of_which_no_slug_can_be_made_is_an_error(tmp_path):
    with pytest.raises(DataError, match="犬"):
        read(table(tmp_path / "t.csv", {"file": "a.jpg", "labels": "犬"}))


def test_a_label_in_both_columns_is_an_error(tmp_path):
    row = {"file": "a.jpg", "labels": "cat", "negatives": "Cat"}
    with pytest.raises(DataError, match="line 2: labels and negatives both name cat"):
        read(table(tmp_path / "t.csv", row))
