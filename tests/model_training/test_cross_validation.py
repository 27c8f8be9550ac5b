"""Cross-validation of a fitted head, through the command that people use."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from model_training.cli.main import main
from model_training.config import Config
from model_training.datasets.prepare import prepare
from model_training.datasets.prepared import Prepared
from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, Predictions, answers_of, load_predictions
from model_training.evaluation.calibration import load_calibration
from model_training.evaluation.cross_validation import cross_validate
from model_training.evaluation.measures import FREQUENT
from model_training.export import square_squash
from model_training.networks.network import load_network
from model_training.tensorflow_runtime import load_tensorflow
from model_training.tracking import NoTracker
from model_training.training.export import export_run
from model_training.training.run import train
from tests.plugins.toy_pictures import ToyPictures

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ORIGINALS = 36
"""So many pictures, each with a near duplicate that has the same labels."""
TOSSED = "sea"
"""A label by the toss of a coin: nothing but the picture itself, or its near duplicate, tells it. The
backbone's classes have an opinion of it all the same."""
SIZE = 64
QUIET = Console(quiet=True)


@dataclass(frozen=True)
class Run:
    folder: Path
    config: Config
    prepared: Prepared
    said: str
    """By the training."""

    def words(self, *more: str) -> list[str]:
        """The command line of an evaluation."""
        return ["evaluate", "--run", str(self.folder), "--data", str(self.prepared.folder), *more]


def write_pairs(folder: Path, toy: ToyPictures) -> dict[str, Any]:
    """Write pictures and what they show; returns the source."""
    toss = np.random.default_rng(7)
    images = folder / "images"
    images.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels"])
        for number in range(ORIGINALS):
            name = f"{number:02}.jpg"
            shown = [*(toy.labels[name] & {"red-disc"}), *([TOSSED] if toss.random() < 0.5 else [])]
            shutil.copy(toy.images / name, images / name)
            pixels = cv2.imread(str(toy.images / name))
            assert pixels is not None
            twin = np.clip(pixels.astype(np.float32) * 1.03 + 2, 0, 255).astype(np.uint8)
            assert cv2.imwrite(str(images / f"twin-{name}"), twin, [cv2.IMWRITE_JPEG_QUALITY, 90])
            table.writerows([each, ";".join(shown)] for each in (name, f"twin-{name}"))
    return {"kind": "csv", "name": "pairs", "images": images, "file": folder / "labels.csv"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, toy_pictures: ToyPictures) -> Run:
    folder = tmp_path_factory.mktemp("cross_validated")
    config = Config.model_validate(
        {
            "name": "pairs",
            "data": {
                "sources": [write_pairs(folder / "pairs", toy_pictures)],
                "split": {"validation": 0, "test": 0},
            },
            "input": {"size": SIZE, "batch": 16},
            "network": {"head": "class-odds"},
            "training": {"regression": {"penalty": 0.003}},
            "evaluation": {"bootstrap": 20},
        }
    )
    prepared = prepare(config, folder / "prepared", QUIET)
    said = io.StringIO()
    train(config, prepared, folder / "run", NoTracker(), Console(file=said))
    return Run(folder / "run", config, prepared, said.getvalue())


@pytest.fixture(scope="module")
def evaluated(run: Run) -> Run:
    assert main(run.words("--folds", "3", "--untracked")) == 0
    return run


@pytest.fixture
def other_run(run: Run, tmp_path: Path) -> Run:
    """The run before its evaluation, to spoil."""
    shutil.copytree(run.folder, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "evaluation"))
    return replace(run, folder=tmp_path / "run")


@pytest.fixture(scope="module")
def predictions(evaluated: Run) -> Predictions:
    return load_predictions(evaluated.folder / "evaluation" / "predictions.npz")


@pytest.fixture(scope="module")
def measured(evaluated: Run) -> Any:
    return json.loads((evaluated.folder / "evaluation" / "metrics.json").read_text(encoding="utf-8"))


def precision_of(answers: Answers, label: str) -> float:
    return float(metrics.average_precisions(answers)[answers.labels.index(label)])


def prevalence(answers: Answers, label: str) -> float:
    return float(answers.targets[:, answers.labels.index(label)].mean())


def test_every_picture_is_answered_once_and_measured(
    evaluated: Run, predictions: Predictions, measured: Any
) -> None:
    prepared = evaluated.prepared
    assert len(prepared.rows("train")) == len(prepared.examples) == 2 * ORIGINALS
    assert predictions.pictures.sha256 == tuple(example.sha256 for example in prepared.examples)
    assert (measured["pictures"], measured["groups"]) == (2 * ORIGINALS, ORIGINALS)
    assert np.array_equal(predictions.answers.targets, prepared.targets()[0].astype(bool))
    report = (evaluated.folder / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert f"{2 * ORIGINALS} pictures, 3 folds" in report


def test_the_calibration_is_of_all_pictures_and_each_score_of_one_without_its_own_fold(
    evaluated: Run, predictions: Predictions
) -> None:
    calibration = load_calibration(evaluated.folder / "calibration.json")
    for label, one in calibration.labels.items():
        assert one.positives + one.negatives == 2 * ORIGINALS, label
    of_all = calibration.scores(predictions.logits)
    validation = load_predictions(evaluated.folder / "evaluation" / "validation.npz")
    assert validation.answers.scores == pytest.approx(of_all, abs=1e-6)
    assert np.abs(predictions.answers.scores - of_all).max() > 1e-3


def test_what_can_be_learned_is_told_and_what_cannot_is_told_by_chance(
    run: Run, predictions: Predictions
) -> None:
    answers = predictions.answers
    assert precision_of(answers, "red-disc") > prevalence(answers, "red-disc") + 0.25
    assert precision_of(answers, TOSSED) < prevalence(answers, TOSSED) + 0.2

    # It is no weak head: what it has learned from, it knows by heart.
    pixels = run.prepared.pixels(square_squash(SIZE), QUIET).astype(np.float32)
    _, logits = load_network(run.folder / "network.keras")(pixels)
    by_heart = answers_of(answers.labels, answers.targets, answers.known, logits.numpy())
    assert precision_of(by_heart, TOSSED) > 0.95


def test_near_duplicates_are_never_in_two_folds(run: Run) -> None:
    def precision(prepared: Prepared) -> float:
        found = cross_validate(run.folder, prepared, run.config, 12, QUIET)
        return precision_of(found.test.answers, TOSSED)

    apart = tuple(replace(example, group=row) for row, example in enumerate(run.prepared.examples))
    chance = run.prepared.targets()[0][:, run.prepared.labels.index(TOSSED)].mean()
    assert precision(run.prepared) < chance + 0.2
    # The same pictures, were nothing known of their being near duplicates.
    assert precision(replace(run.prepared, examples=apart)) > 0.85


def test_the_same_run_gives_the_same_scores_from_the_features_that_its_training_computed(
    run: Run, predictions: Predictions
) -> None:
    title = "Features of the frozen backbone"
    assert title in run.said
    said = io.StringIO()
    again = cross_validate(run.folder, run.prepared, run.config, 3, Console(file=said))
    assert title not in said.getvalue()
    assert "3 folds" in said.getvalue()
    assert np.array_equal(again.test.answers.scores, predictions.answers.scores)


def test_parts_of_the_pictures_are_measured_over_their_frequent_labels(measured: Any) -> None:
    (source,) = [part for part in measured["slices"] if part["by"] == "source"]
    assert source["labels_frequent"] == measured["frequent"]["labels"] == 2
    assert source["map_frequent"]["value"] == measured["map_frequent"]["value"]
    rare = [part for part in measured["slices"] if part["labels_frequent"] == 0]
    assert all(part["map_frequent"]["value"] is None for part in rare)
    assert rare, f"a third of the pictures is meant to have fewer than {FREQUENT} of each label"


def test_without_folds_such_a_run_is_refused_and_they_are_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--dry-run"]):
        assert main(run.words("--untracked", *more)) == 2
        told = capsys.readouterr().err
        assert "is held out for validation" in told
        assert "--folds" in told


@pytest.mark.parametrize(
    ("change", "folds", "said"),
    [
        ({"training": {}}, "3", "takes training.regression"),
        (
            {"training": {"regression": {}, "fine_tune": {"epochs": 1, "learning_rate": 0.1}}},
            "3",
            "no training.fine_tune.epochs",
        ),
        ({}, "1", "take 2 or more"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused(
    other_run: Run, capsys: pytest.CaptureFixture[str], change: dict[str, Any], folds: str, said: str
) -> None:
    config = {**other_run.config.model_dump(mode="json"), **change}
    (other_run.folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    for more in ([], ["--dry-run"]):
        assert main(other_run.words("--folds", folds, "--untracked", *more)) == 2
        assert said in capsys.readouterr().err
    assert not (other_run.folder / "evaluation").exists()


def test_a_dry_run_says_how_many_heads_it_would_fit(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(run.words("--folds", "5", "--dry-run")) == 0
    assert f"would fit 5 heads and measure on {2 * ORIGINALS} pictures" in capsys.readouterr().out


def test_the_run_is_exported_and_answers_with_its_calibrated_scores(evaluated: Run, tmp_path: Path) -> None:
    folder = export_run(evaluated.folder, tmp_path / "models", QUIET)
    tf = load_tensorflow()
    pixels = evaluated.prepared.pixels(square_squash(SIZE), QUIET)[:8]
    loaded = tf.saved_model.load(str(folder))
    found = loaded.signatures["serving_default"](images=tf.constant(pixels))["scores"].numpy()
    _, logits = load_network(evaluated.folder / "network.keras")(pixels.astype(np.float32))
    expected = load_calibration(evaluated.folder / "calibration.json").scores(logits.numpy().astype(float))
    assert found == pytest.approx(expected, abs=1e-3)
