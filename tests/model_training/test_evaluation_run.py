"""The evaluation of a run from end to end, with a network that sees colours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from rich.console import Console

from model_training.config import Config
from model_training.datasets.errors import DataError
from model_training.datasets.prepare import prepare
from model_training.datasets.prepared import Prepared
from model_training.evaluation.answers import load_predictions
from model_training.evaluation.calibration import load_calibration, sigmoid
from model_training.evaluation.held_out import predict
from model_training.evaluation.run import evaluate, headline
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.run_folder import RunError, open_run
from tests.plugins.toy_pictures import LABELS, ToyPictures

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 32
# One pixel of each shape's colour gives more than nothing to its own channel only, and grey to none.
SEES = {
    "red-disc": ((1, -1, -1), 0),
    "green-square": ((-1, 1, -1), 0),
    "blue-triangle": ((-1, -1, 1), 0),
    "yellow-ring": ((1, 1, -3), -200),
}


def colour_network(labels: tuple[str, ...]) -> Any:
    """Pictures → how much of each colour there is ``[N, 4]``, and logits that are too sure of it."""
    load_tensorflow()
    import keras  # noqa: PLC0415 - TensorFlow is set up first

    images = keras.Input((SIZE, SIZE, 3))
    seen = keras.layers.Conv2D(4, 1, activation="relu", name="colours")(images)
    features = keras.layers.GlobalAveragePooling2D()(seen)
    logits = keras.layers.Dense(4, name="logits")(features)
    network = keras.Model(images, [features, logits])
    kernel = np.array([SEES[label][0] for label in labels], np.float32).T[None, None]
    network.get_layer("colours").set_weights([kernel, np.array([SEES[one][1] for one in labels], np.float32)])
    network.get_layer("logits").set_weights([4 * np.eye(4, dtype=np.float32), np.full(4, -4, np.float32)])
    return network


@dataclass
class Noted:
    """A tracker that remembers."""

    values: dict[str, float] = field(default_factory=dict)
    files: list[tuple[str, str]] = field(default_factory=list)

    def params(self, values: Mapping[str, object]) -> None:
        raise AssertionError("an evaluation has no parameters of its own")

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.values.update(values)

    def artifact(self, path: Path, folder: str = "") -> None:
        assert path.exists()
        self.files.append((path.name, folder))

    def tags(self, values: Mapping[str, str]) -> None:
        raise AssertionError("an evaluation has no tags of its own")


@dataclass
class Evaluated:
    run: Path
    prepared: Prepared
    config: Config
    measured: dict[str, Any]
    noted: Noted
    printed: str


@pytest.fixture(scope="module")
def evaluated(toy_pictures: ToyPictures, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("evaluated")
    config = Config.model_validate(
        {
            "name": "colours",
            "data": {
                "sources": [
                    {"kind": "coco", "images": toy_pictures.images, "annotations": toy_pictures.coco}
                ],
                "split": {"validation": 0.4, "test": 0.4},
            },
            "input": {"size": SIZE, "batch": 8},
            "evaluation": {"bootstrap": 50},
        }
    )
    quiet = Console(quiet=True)
    prepared = prepare(config, folder / "prepared", quiet)
    run = folder / "run"
    open_run(run, config, prepared, resume=False)
    history = [{"epoch": 1, "phase": "head", "validation_map": 0.5}]
    (run / "history.json").write_text(json.dumps(history), encoding="utf-8")
    colour_network(tuple(prepared.labels)).save(run / "network.keras")
    noted = Noted()
    console = Console(record=True, width=100, file=(folder / "printed.txt").open("w", encoding="utf-8"))
    measured = evaluate(run, prepared, noted, console)
    console.file.close()
    return Evaluated(run, prepared, config, measured, noted, console.export_text())


def test_a_network_that_sees_the_colours_is_measured_as_good(evaluated: Evaluated) -> None:
    assert sorted(evaluated.prepared.labels) == sorted(LABELS)
    assert evaluated.measured["map"]["value"] > 0.95
    stored = json.loads((evaluated.run / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    assert stored == evaluated.measured


def test_the_calibration_belongs_to_the_run_and_makes_the_scores(evaluated: Evaluated) -> None:
    calibration = load_calibration(evaluated.run / "calibration.json")
    assert tuple(calibration.labels) == tuple(evaluated.prepared.labels)
    validation = evaluated.prepared.rows("validation")
    targets, known = evaluated.prepared.targets()
    for column, one in enumerate(calibration.labels.values()):
        assert one.positives == targets[validation, column].sum()
        assert one.positives + one.negatives == known[validation, column].sum()
    tested = load_predictions(evaluated.run / "evaluation" / "predictions.npz")
    expected = [
        sigmoid(one.scale * tested.logits[:, column] + one.offset)
        for column, one in enumerate(calibration.labels.values())
    ]
    assert tested.answers.scores == pytest.approx(np.stack(expected, axis=1), abs=1e-6)


def test_only_held_out_pictures_are_measured_with_their_groups_and_sources(evaluated: Evaluated) -> None:
    rows = evaluated.prepared.rows("test")
    tested = load_predictions(evaluated.run / "evaluation" / "predictions.npz")
    examples = [evaluated.prepared.examples[row] for row in rows]
    assert tested.pictures.sha256 == tuple(example.sha256 for example in examples)
    assert tested.pictures.groups.tolist() == [example.group for example in examples]
    assert set(tested.pictures.sources) == {"coco"}
    assert np.array_equal(tested.answers.targets, evaluated.prepared.targets()[0][rows].astype(bool))
    assert evaluated.measured["pictures"] == len(rows)
    held = load_predictions(evaluated.run / "evaluation" / "validation.npz")
    assert not set(held.pictures.sha256) & set(tested.pictures.sha256)


def test_the_notebook_is_executed_and_shows_the_same_figures(evaluated: Evaluated) -> None:
    notebook = nbformat.read(evaluated.run / "evaluation" / "evaluation.ipynb", as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output for output in outputs if output.output_type == "error"] == []
    shown = json.dumps(outputs)
    assert f"{evaluated.measured['map']['value']:.3f}" in shown
    assert shown.count('"image/png"') >= 3
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert str(evaluated.run) not in json.dumps(notebook), "a notebook is sent to others"


def test_the_tracker_gets_the_headlines_and_the_files(evaluated: Evaluated) -> None:
    assert evaluated.noted.values == headline(evaluated.measured)
    assert evaluated.noted.values["test_map"] == evaluated.measured["map"]["value"]
    assert evaluated.noted.files == [
        ("calibration.json", ""),
        ("evaluation", "evaluation"),
        ("model_card.md", ""),
    ]
    there = {path.name for path in (evaluated.run / "evaluation").iterdir()}
    expected = {"metrics.json", "report.html", "plots", "predictions.npz", "validation.npz"}
    assert there == expected | {"evaluation.ipynb"}


def test_the_model_card_knows_the_measures(evaluated: Evaluated) -> None:
    card = (evaluated.run / "model_card.md").read_text(encoding="utf-8")
    assert f"{evaluated.measured['map']['value']:.3f}" in card
    assert "Not measured yet" not in card


def test_the_summary_is_printed(evaluated: Evaluated) -> None:
    assert "mAP over 4 labels" in evaluated.printed
    assert "accuracy of never showing anything" in evaluated.printed


def test_the_same_run_gives_the_same_predictions_again(evaluated: Evaluated) -> None:
    again = predict(evaluated.run, evaluated.prepared, evaluated.config, Console(quiet=True))
    tested = load_predictions(evaluated.run / "evaluation" / "predictions.npz")
    assert np.array_equal(again.test.answers.scores, tested.answers.scores)
    assert again.calibration == load_calibration(evaluated.run / "calibration.json")


def refused(run: Path, prepared: Prepared, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(run, prepared, Noted(), Console(quiet=True))


def test_data_that_the_run_was_not_trained_on_are_refused(evaluated: Evaluated) -> None:
    refused(evaluated.run, replace(evaluated.prepared, data_hash="0" * 64), "was trained on data")


def test_other_labels_are_refused_by_name(evaluated: Evaluated, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(evaluated.run, run, ignore=shutil.ignore_patterns("evaluation"))
    (run / "labels.json").write_text(json.dumps({"labels": ["unicorn"], "names": {}}), encoding="utf-8")
    refused(run, evaluated.prepared, "has other labels than .*unicorn")


def test_a_folder_that_is_no_trained_run_is_refused(evaluated: Evaluated, tmp_path: Path) -> None:
    open_run(tmp_path / "untrained", evaluated.config, evaluated.prepared, resume=False)
    with pytest.raises(RunError, match=r"holds no network\.keras: train it to the end first"):
        evaluate(tmp_path / "untrained", evaluated.prepared, Noted(), Console(quiet=True))
    with pytest.raises(RunError, match=r"is no run, labels\.json is missing"):
        evaluate(tmp_path, evaluated.prepared, Noted(), Console(quiet=True))


def test_data_without_test_pictures_are_refused(evaluated: Evaluated) -> None:
    examples = tuple(
        replace(example, split="train" if example.split == "test" else example.split)
        for example in evaluated.prepared.examples
    )
    refused(
        evaluated.run,
        replace(evaluated.prepared, examples=examples),
        r"no picture .* is held out for test: raise data\.split\.test",
    )
