"""Tuned copies of the last blocks beside a frozen backbone, through the commands that people use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from model_training.cli.main import main
from model_training.config import Config, ConfigError
from model_training.datasets.prepare import prepare
from model_training.datasets.prepared import Prepared
from model_training.evaluation.answers import load_predictions
from model_training.export import square_squash
from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import FEATURES, LITE2
from model_training.networks.network import folded, load_network, tuned_of
from model_training.networks.tuned import build_tuned
from model_training.tensorflow_runtime import load_tensorflow
from model_training.tracking import NoTracker
from model_training.training.checks import check_regression
from model_training.training.regression import Fitted
from model_training.training.run import train
from model_training.training.tuning import Below, Lesson, tune
from model_training.training.validation import mean_average_precision
from tests.plugins.toy_pictures import ToyPictures

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = 64
QUIET = Console(quiet=True)
TUNED = {"blocks": 1, "share": 0.5, "epochs": 1, "learning_rate": 1e-3, "dropout": 0.5}


def content(toy: ToyPictures, **training: Any) -> dict[str, Any]:
    return {
        "name": "tuned",
        "data": {
            "sources": [{"kind": "coco", "images": str(toy.images), "annotations": str(toy.coco)}],
            "split": {"validation": 0, "test": 0},
        },
        "input": {"size": SIZE, "batch": 16},
        "network": {"head": "class-odds"},
        "training": {"regression": {"penalty": 0.1, "source_penalty": 0.001}, **training},
        "evaluation": {"bootstrap": 20},
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, toy_pictures: ToyPictures) -> Prepared:
    config = Config.model_validate(content(toy_pictures))
    return prepare(config, tmp_path_factory.mktemp("tuning") / "prepared", QUIET)


def trained(to: Path, prepared: Prepared, toy: ToyPictures, **training: Any) -> Path:
    train(Config.model_validate(content(toy, **training)), prepared, to, NoTracker(), QUIET)
    return to


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prepared: Prepared, toy_pictures: ToyPictures) -> Path:
    return trained(tmp_path_factory.mktemp("tuned") / "run", prepared, toy_pictures, tuned=TUNED)


def answers(run: Path, prepared: Prepared) -> tuple[Any, Any]:
    pixels = prepared.pixels(square_squash(SIZE), QUIET)[:6].astype(np.float32)
    features, logits = load_network(run / "network.keras")(pixels)
    return features.numpy(), logits.numpy()


def test_features_stay_and_logits_move_and_the_same_pictures_give_the_same_logits(
    run: Path, prepared: Prepared, toy_pictures: ToyPictures, tmp_path: Path
) -> None:
    again = answers(trained(tmp_path / "again", prepared, toy_pictures, tuned=TUNED), prepared)
    plain = answers(trained(tmp_path / "plain", prepared, toy_pictures), prepared)
    features, logits = answers(run, prepared)
    assert np.array_equal(features, plain[0])
    assert np.abs(logits - plain[1]).max() > 0.01
    assert np.array_equal(logits, again[1])


def test_validation_measures_the_network_with_its_copies(toy_pictures: ToyPictures, tmp_path: Path) -> None:
    asked = content(toy_pictures, tuned=TUNED)
    asked["data"]["split"]["validation"] = 0.3
    config = Config.model_validate(asked)
    prepared = prepare(config, tmp_path / "prepared", QUIET)
    train(config, prepared, tmp_path / "run", NoTracker(), QUIET)
    (epoch,) = json.loads((tmp_path / "run" / "history.json").read_text())
    rows = prepared.rows("validation")
    pixels = prepared.pixels(square_squash(SIZE), QUIET)[rows].astype(np.float32)
    logits = load_network(tmp_path / "run" / "network.keras")(pixels)[1].numpy()
    targets, known = (matrix[rows] for matrix in prepared.targets())
    expected = mean_average_precision(tuple(prepared.labels), targets, known, logits)
    assert epoch["validation_map"] == pytest.approx(expected, abs=1e-6)


def test_several_seeds_leave_the_mean_of_what_each_has_learned(toy_pictures: ToyPictures) -> None:
    load_tensorflow()
    random, pictures, labels = np.random.default_rng(6), 70, 2
    views = tuple(random.normal(0, 1, (pictures, 1, 1, 208)).astype(np.float16) for _ in range(3))
    features = random.random((pictures, FEATURES), np.float32)
    targets = (random.random((pictures, labels)) < 0.5).astype(np.float32)
    lesson = Lesson(Below(views), features, None, targets, np.ones_like(targets), ["drawn"] * pictures)
    kernel = random.normal(0, 0.01, (FEATURES, labels)).astype(np.float32)
    fitted = Fitted(kernel, np.zeros(labels, np.float32), None, {}, 0.0)
    backbone = efficientnet_lite.build(LITE2, size=32, classify=False)

    def learned(seed: int, seeds: int) -> list[Any]:
        wanted = content(toy_pictures, seed=seed, tuned={**TUNED, "seeds": seeds})
        tuned = build_tuned(LITE2, backbone, 1, labels)
        tune(tuned, fitted, lesson, np.arange(pictures), Config.model_validate(wanted))
        weights: list[Any] = tuned.get_layer("upper").get_weights()
        return weights

    fourth, fifth = learned(4, 1), learned(5, 1)
    assert max(np.abs(one - other).max() for one, other in zip(fourth, fifth, strict=True)) > 1e-4
    for mean, one, other in zip(learned(4, 2), fourth, fifth, strict=True):
        assert np.abs(mean - (one + other) / 2).max() < 1e-6


def test_folding_batch_norm_changes_no_logit(run: Path, prepared: Prepared) -> None:
    network = load_network(run / "network.keras")
    assert tuned_of(network) is not None
    pixels = prepared.pixels(square_squash(SIZE), QUIET)[:6].astype(np.float32)
    for kept, bare in zip(network(pixels), folded(network, "efficientnet-lite2")(pixels), strict=True):
        assert np.abs(kept.numpy() - bare.numpy()).max() < 1e-3


def test_each_fold_tunes_copies_of_its_own(run: Path, prepared: Prepared, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    kept = {path.name for path in (prepared.folder / "features").iterdir()}
    words = ["evaluate", "--run", str(copy), "--data", str(prepared.folder), "--folds", "2", "--untracked"]
    assert main(words) == 0
    assert {path.name for path in (prepared.folder / "features").iterdir()} == kept
    predictions = load_predictions(copy / "evaluation" / "predictions.npz")
    assert np.isfinite(predictions.logits).all()
    calibration = json.loads((copy / "calibration.json").read_text())
    assert set(calibration["labels"]) == set(prepared.labels)


@pytest.mark.parametrize(
    ("training", "network"),
    [
        ({"regression": None}, {}),
        ({"fine_tune": {"epochs": 1, "learning_rate": 0.1}}, {"head": "linear"}),
        ({"mixed_precision": "float16"}, {}),
        ({}, {"backbone": "ResNet50", "weights": "random", "head": "linear"}),
    ],
)
def test_what_does_not_go_with_tuning_is_refused(
    toy_pictures: ToyPictures, training: dict[str, Any], network: dict[str, Any]
) -> None:
    asked = content(toy_pictures, **{"tuned": TUNED, **training})
    asked["network"] |= network
    with pytest.raises(ConfigError, match=r"training\.tuned"):
        check_regression(Config.model_validate(asked))
