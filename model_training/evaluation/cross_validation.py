"""Measures a head on all pictures: for each part of them it is fitted again without that part.

So no picture is lost to a test set, and the network of the run may learn from all of them. It takes a head
that is fitted in one go (``training.regression``) on a backbone that was not trained with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Config, ConfigError
from model_training.datasets.prepared import Prepared
from model_training.datasets.splits import folds
from model_training.evaluation.answers import Matrix, Predictions, answers_of
from model_training.evaluation.calibration import Calibration, calibrate
from model_training.evaluation.held_out import HeldOut, pictures_of
from model_training.export import square_squash
from model_training.networks.backbones import LITE
from model_training.networks.network import load_network
from model_training.networks.tuned import build_tuned
from model_training.training.examples import features_of
from model_training.training.feature_store import FeatureStore, feature_store
from model_training.training.regression import Fitted, Values, fit_regression, learning_weights, log_odds
from model_training.training.run_folder import NETWORK
from model_training.training.steps import compiled
from model_training.training.tuning import Lesson, addition, maps_below, tune


def check_folds(config: Config, number: int) -> None:
    """Refuse what cannot be cross-validated.

    Raises:
        ConfigError: the head is not fitted in one go, the backbone was trained too, or one fold.
    """
    if config.training.regression is None or config.training.fine_tune.epochs:
        raise ConfigError(
            "cross-validation fits the head once for each fold, on one backbone: it takes "
            "training.regression, and no training.fine_tune.epochs"
        )
    if number < 2:
        raise ConfigError(f"{number} folds are none: take 2 or more")


def cross_validate(run: Path, prepared: Prepared, config: Config, number: int, console: Console) -> HeldOut:
    """Answer for each picture by a head that learned from no near duplicate of it.

    Args:
        run: With its network, whose backbone gives the features.
        prepared: The data of the run.
        config: Of the run.
        number: Folds. Near duplicates stay together, labels are spread evenly.
        console: For progress.

    Returns:
        ``validation`` and ``test`` are all pictures. The calibration is fitted to all of them, as is right
        for a head that learned from all; the scores of ``test`` are calibrated without their own fold.
    """
    check_folds(config, number)
    targets, known = prepared.targets()
    groups = np.array([example.group for example in prepared.examples], np.intp)
    parts = folds(targets * known, groups, number, config.data.split.seed)
    network = load_network(run / NETWORK)
    features = _features(network, prepared, config, console)
    odds = log_odds(network.get_layer("head"), features)
    sources = [example.source for example in prepared.examples]
    learner = _Learner(config, features, odds, (targets, known, sources))
    if config.training.tuned:
        learner = replace(learner, tuning=_tuning(learner, network, prepared, console))
    logits = np.empty(targets.shape)
    for part in track(parts, f"{number} folds", console=console):
        logits[part] = learner.answered(part)
    return _held_out(prepared, parts, logits, config)


def _features(network: Any, prepared: Prepared, config: Config, console: Console) -> Values:
    front = compiled(lambda images: network(images, training=False)[0], network.input_shape[1:])
    pixels = prepared.pixels(square_squash(config.input.size), console)
    features: Values = _store(prepared, config).features(
        network.get_layer("backbone").get_weights(),
        "none",
        partial(features_of, front, pixels, config.input.batch, console),
    )
    return features


def _store(prepared: Prepared, config: Config) -> FeatureStore:
    sha256s = [example.sha256 for example in prepared.examples]
    return feature_store(prepared.folder, sha256s, square_squash(config.input.size).id)


@dataclass(frozen=True, slots=True)
class _Learner:
    """Fits heads to some pictures and lets them answer for the others."""

    config: Config
    features: Values
    odds: Values | None
    truth: tuple[Values, Values, list[str]]
    """Targets, what is known, and the sources of all pictures."""
    tuning: _Tuning | None = None

    def answered(self, part: NDArray[np.intp]) -> Values:
        """The logits of a part by a head that learned from the others."""
        regression = self.config.training.regression
        assert regression is not None
        rest = np.setdiff1d(np.arange(len(self.features)), part)
        told = None if self.odds is None else self.odds[rest]
        targets, known = (matrix[rest] for matrix in self.truth[:2])
        sources = [self.truth[2][row] for row in rest.tolist()]
        weights = learning_weights(targets, known, sources, regression)
        fitted = fit_regression(self.features[rest], targets, weights, regression, odds=told, sources=sources)
        logits: Values = self.features[part] @ fitted.kernel + fitted.bias
        if self.odds is not None and fitted.trust is not None:
            logits += fitted.trust * self.odds[part]
        return logits if self.tuning is None else logits + self.tuning.addition(part, rest, fitted)


@dataclass(frozen=True, slots=True)
class _Tuning:
    """Tunes copies of the backbone's last blocks for each of the heads."""

    config: Config
    backbone: Any
    lesson: Lesson

    def addition(self, part: NDArray[np.intp], rest: NDArray[np.intp], fitted: Fitted) -> Values:
        """What copies that learned from the rest add to the logits of a part."""
        assert self.config.training.tuned is not None
        variant, _ = LITE[self.config.network.backbone]
        # The copies of the run have learned from all pictures: these start as the backbone is.
        labels = self.lesson.targets.shape[1]
        tuned = build_tuned(variant, self.backbone, self.config.training.tuned.blocks, labels)
        tune(tuned, fitted, self.lesson, rest, self.config)
        return addition(tuned, self.lesson, part)


def _tuning(learner: _Learner, network: Any, prepared: Prepared, console: Console) -> _Tuning:
    config, backbone = learner.config, network.get_layer("backbone")
    pixels = prepared.pixels(square_squash(config.input.size), console)
    below = maps_below(backbone, pixels, config, _store(prepared, config), console)
    return _Tuning(config, backbone, Lesson(below, learner.features, learner.odds, *learner.truth))


def _held_out(prepared: Prepared, parts: list[NDArray[np.intp]], logits: Matrix, config: Config) -> HeldOut:
    labels, rows = tuple(prepared.labels), np.arange(len(logits))
    targets, known = (matrix.astype(bool) for matrix in prepared.targets())

    def calibrated_on(some: NDArray[np.intp]) -> Calibration:
        return calibrate(
            labels, logits[some], targets[some], known[some], precision=config.evaluation.threshold_precision
        )

    def predictions(scores: Matrix) -> Predictions:
        answers = answers_of(labels, targets, known, scores)
        return Predictions(answers, logits, pictures_of(prepared, rows))

    scores = np.empty(logits.shape)
    for part in parts:
        scores[part] = calibrated_on(np.setdiff1d(rows, part)).scores(logits[part])
    calibration = calibrated_on(rows)
    return HeldOut(calibration, predictions(calibration.scores(logits)), predictions(scores))
