"""Heads that are fitted in one go: against other solvers, in the loop, and what they do not go with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model_training.config import Config, ConfigError, Regression
from model_training.networks.class_odds import FIRST_TRUST
from model_training.training.checks import check_regression
from model_training.training.examples import Learnable
from model_training.training.regression import Fitted, fit_regression, learning_weights
from tests.plugins.tiny_trainings import (
    TRAINING,
    StoppedError,
    tiny_config,
    tiny_network,
    tiny_pictures,
    train_tiny,
    training,
    without_seconds,
)

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = NDArray[np.float64]
COUNT, FEATURES, LABELS = 160, 12, 3
CONFIG = Regression(penalty=0.05)


@pytest.fixture(scope="module")
def features() -> Any:
    """Of very different means and spreads."""
    random = np.random.default_rng(1)
    spread, mean = np.geomspace(0.05, 5, FEATURES), np.linspace(-2, 2, FEATURES)
    return (random.normal(size=(COUNT, FEATURES)) * spread + mean).astype(np.float32)


@pytest.fixture(scope="module")
def targets(features: Any) -> Any:
    random = np.random.default_rng(2)
    units = (features - features.mean(axis=0)) / features.std(axis=0)
    logits = units @ random.normal(size=(FEATURES, LABELS)) - [0, 1, 2]
    return (random.random((COUNT, LABELS)) < 1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.fixture(scope="module")
def known() -> Any:
    """Of the second label nobody said of every third picture; of the third some count more than others."""
    known = np.ones((COUNT, LABELS), np.float32)
    known[::3, 1] = 0
    known[::4, 2] = 2.5
    return known


@pytest.fixture(scope="module")
def odds() -> Any:
    """The first label's say much, the second's little, there are none of the third."""
    values = np.random.default_rng(3).normal(scale=3, size=(COUNT, LABELS))
    values[:, 2] = 0
    return values.astype(np.float32)


def logits_of(fitted: Fitted, features: Any, odds: Any = None) -> Array:
    told = 0 if odds is None or fitted.trust is None else fitted.trust * odds
    return np.asarray(features @ fitted.kernel + fitted.bias + told, np.float64)


def test_each_label_is_the_logistic_regression_of_scikit_learn(
    features: Any, targets: Any, known: Any
) -> None:
    fitted = fit_regression(features, targets, known, CONFIG)
    assert fitted.trust is None
    units = (features - features.mean(axis=0)) / features.std(axis=0)
    for label in range(LABELS):
        rows = known[:, label] > 0
        count = known[rows, label]
        # Its losses are summed, ours are a mean: C takes the number of pictures.
        model = LogisticRegression(C=1 / (CONFIG.penalty * count.sum()), tol=1e-8, max_iter=1000)
        model.fit(units[rows].astype(np.float64), targets[rows, label], sample_weight=count)
        expected = model.decision_function(units.astype(np.float64))
        assert logits_of(fitted, features)[:, label] == pytest.approx(expected, abs=0.005)


def test_what_is_not_known_may_be_anything(features: Any, targets: Any, known: Any) -> None:
    first = fit_regression(features, targets, known, CONFIG)
    lied = np.where(known > 0, targets, 1 - targets)
    second = fit_regression(features, lied, known, CONFIG)
    assert np.array_equal(first.kernel, second.kernel)
    assert np.array_equal(first.bias, second.bias)


def test_a_label_of_which_nothing_is_known_gets_no_weights(features: Any, targets: Any, odds: Any) -> None:
    known = np.ones_like(targets)
    known[:, 1] = 0
    fitted = fit_regression(features, targets, known, CONFIG, odds=odds)
    assert fitted.trust is not None
    assert (np.abs(fitted.kernel[:, 1]).max(), fitted.bias[1]) == (0, 0)
    assert fitted.trust[1] == pytest.approx(FIRST_TRUST)
    assert np.abs(fitted.kernel[:, 0]).max() > 0


def test_a_feature_that_never_changes_gets_no_weight(features: Any, targets: Any, known: Any) -> None:
    flat = np.concatenate([features, np.full((COUNT, 1), 7, np.float32)], axis=1)
    fitted = fit_regression(flat, targets, known, CONFIG)
    assert np.abs(fitted.kernel[-1]).max() == 0
    without = fit_regression(features, targets, known, CONFIG)
    assert logits_of(fitted, flat) == pytest.approx(logits_of(without, features), abs=0.005)


def test_the_unit_of_a_feature_changes_nothing(features: Any, targets: Any, known: Any) -> None:
    unit = np.geomspace(0.1, 100, FEATURES).astype(np.float32)
    first = fit_regression(features, targets, known, CONFIG)
    second = fit_regression(features * unit, targets, known, CONFIG)
    assert logits_of(second, features * unit) == pytest.approx(logits_of(first, features), abs=0.005)


def newton(x: Array, target: Array, odds: Array, penalty: float, trust_penalty: float) -> tuple[Array, float]:
    """One label by Newton's method: the logits and the trust."""
    columns = np.column_stack([x, np.ones(len(x)), odds])
    strength = np.diag([*[penalty] * x.shape[1], 0, trust_penalty])
    towards = np.array([*[0.0] * (x.shape[1] + 1), FIRST_TRUST])
    w = towards.copy()
    for _ in range(30):
        score = 1 / (1 + np.exp(-columns @ w))
        slope = columns.T @ (score - target) / len(x) + strength @ (w - towards)
        bend = (columns * (score * (1 - score))[:, None]).T @ columns / len(x) + strength
        w = w - np.linalg.solve(bend, slope)
    return columns @ w, float(w[-1])


def test_log_odds_are_trusted_as_newtons_method_finds(features: Any, odds: Any) -> None:
    random = np.random.default_rng(4)
    shown = odds * [1.5, 0.1, 0] + features[:, -1:] / 5
    targets = (random.random(shown.shape) < 1 / (1 + np.exp(-shown))).astype(np.float32)
    fitted = fit_regression(features, targets, np.ones_like(targets), CONFIG, odds=odds)
    assert fitted.trust is not None
    units = ((features - features.mean(axis=0)) / features.std(axis=0)).astype(np.float64)
    for label in range(LABELS):
        expected, trust = newton(
            units, targets[:, label], odds[:, label].astype(np.float64), CONFIG.penalty, 0.01
        )
        assert fitted.trust[label] == pytest.approx(trust, abs=0.001)
        assert logits_of(fitted, features, odds)[:, label] == pytest.approx(expected, abs=0.005)
    assert fitted.trust[0] > 2 * FIRST_TRUST
    assert fitted.trust[1] < FIRST_TRUST
    assert fitted.trust[2] == pytest.approx(FIRST_TRUST)


def test_the_same_pictures_give_the_same_weights_bit_for_bit(
    features: Any, targets: Any, known: Any, odds: Any
) -> None:
    first, second = (fit_regression(features, targets, known, CONFIG, odds=odds) for _ in range(2))
    assert first.trust is not None
    assert second.trust is not None
    assert np.array_equal(first.kernel, second.kernel)
    assert np.array_equal(first.bias, second.bias)
    assert np.array_equal(first.trust, second.trust)


# ---------------------------------------------------------------- how much a picture counts

SOURCES = ("coco", "coco", "scenes", "scenes", "scenes")
SHOWN = np.array([[1, 0], [0, 1], [0, 0], [0, 1], [0, 0]], np.float32)


@pytest.mark.parametrize("counts", [1.0, 0.25, 0.0])
def test_a_source_without_a_label_counts_less_as_a_no(counts: float) -> None:
    known = np.ones_like(SHOWN)
    known[0, 1] = 0
    found = learning_weights(SHOWN, known, SOURCES, Regression(foreign_negatives=counts))
    # No picture of scenes shows the first label; the second is in both.
    assert found.tolist() == [[1, 0], [1, 1], [counts, 1], [counts, 1], [counts, 1]]
    assert known.min(axis=0).tolist() == [1, 0], "what is known stays as it is"


def test_a_label_that_a_source_is_not_known_to_show_is_foreign_to_it() -> None:
    known = np.ones_like(SHOWN)
    known[3, 1] = 0
    found = learning_weights(SHOWN, known, SOURCES, Regression(foreign_negatives=0.5))
    assert found[2:, 1].tolist() == [0.5, 0, 0.5]


# ---------------------------------------------------------------- in the loop

WANTED = Regression(penalty=0.01, foreign_negatives=0.3)
FITTED: dict[str, Any] = {"regression": WANTED.model_dump()}


def pictures() -> Learnable:
    """Of two sources; there is no blue in the second."""
    told = tiny_pictures()
    sources = tuple("first" if row % 2 else "second" for row in range(len(told.pixels)))
    targets = told.targets.copy()
    targets[::2, 2] = 0
    return replace(told, targets=targets, sources=sources)


def test_the_loop_fits_the_head_in_one_epoch_and_keeps_it(tmp_path: Path) -> None:
    config, told = tiny_config(network={}, training=training(head=9, fine_tune=0, **FITTED)), pictures()
    progress, weights = train_tiny(tmp_path, config, told)
    (entry,) = progress.history
    assert (entry["phase"], entry["epoch"], entry["learning_rate"]) == ("head", 1, None)
    from keras import utils  # noqa: PLC0415 - TensorFlow is set up first

    utils.set_random_seed(config.training.seed)
    features = tiny_network().front(told.pixels.astype(np.float32)).numpy()
    rows = slice(TRAINING)
    counts = told.known[rows].copy()
    counts[::2, 2] *= WANTED.foreign_negatives
    expected = fit_regression(features[rows], told.targets[rows], counts, WANTED)
    assert features @ weights[-2] + weights[-1] == pytest.approx(logits_of(expected, features), abs=0.005)
    assert entry["loss"] == pytest.approx(expected.loss, rel=1e-3)


def test_a_fitted_head_is_fine_tuned_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = tiny_config(network={}, training=training(head=0, fine_tune=1, **FITTED))
    whole = train_tiny(tmp_path / "whole", config, pictures())
    assert [entry["phase"] for entry in whole[0].history] == ["head", "fine-tune"]
    with pytest.raises(StoppedError):
        train_tiny(tmp_path / "parts", config, pictures(), stop=(2, None))
    progress, weights = train_tiny(tmp_path / "parts", config, pictures(), resume=True)
    assert without_seconds(progress) == without_seconds(whole[0])
    assert all(np.array_equal(a, b) for a, b in zip(weights, whole[1], strict=True))


def test_without_pictures_for_validation_the_fitted_head_is_the_best(tmp_path: Path) -> None:
    config = tiny_config(network={}, training=training(fine_tune=0, **FITTED))
    told = pictures()
    everything = replace(told, training=np.arange(len(told.pixels)), validation=np.arange(0))
    progress, _ = train_tiny(tmp_path, config, everything)
    assert (progress.best_epoch, progress.best) == (1, None)


# ---------------------------------------------------------------- what it does not go with


def configured(**sections: Any) -> Config:
    content = {"name": "toy", "data": {"sources": [{"kind": "folder", "folder": "pictures"}]}}
    return Config.model_validate({**content, "training": {"regression": {}}, **sections})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"network": {"head": "attention"}}, "network.head: attention"),
        ({"network": {"head": "ml-decoder"}}, "network.head: ml-decoder"),
        ({"network": {"dropout": 0.1}}, "network.dropout: 0.1"),
        ({"loss": {"kind": "asymmetric"}}, "loss.kind: asymmetric"),
        ({"loss": {"class_weights": "inverse"}}, "loss.class_weights: inverse"),
        ({"loss": {"label_smoothing": 0.1}}, "loss.label_smoothing: 0.1"),
        ({"input": {"sampling": "balanced"}}, "input.sampling: balanced"),
        ({"input": {"augment": {"flip": True}}}, "input.augment"),
        ({"training": {"regression": {}, "distribute": "mirrored"}}, "training.distribute: mirrored"),
        (
            {
                "network": {"head": "class-odds"},
                "training": {"fine_tune": {"epochs": 1, "learning_rate": 0.1}},
            },
            "class-odds .* set training.fine_tune.epochs to 0",
        ),
    ],
)
def test_what_does_not_go_with_a_fitted_head_is_refused_by_name(sections: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_regression(configured(**sections))


@pytest.mark.parametrize("head", ["linear", "class-odds"])
def test_both_linear_heads_can_be_fitted_or_trained(head: str) -> None:
    check_regression(configured(network={"head": head}))
    check_regression(configured(network={"head": head, "dropout": 0.2}, training={}))


@pytest.mark.parametrize("value", [{"penalty": 0}, {"iterations": 0}, {"foreign_negatives": -1}])
def test_a_regression_without_sense_is_no_configuration(value: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="greater than"):
        configured(training={"regression": value})


def test_offsets_of_sources_keep_features_from_telling_the_sources_apart() -> None:
    random = np.random.default_rng(5)
    of_first = random.random(600) < 0.5
    signal = random.normal(size=600)
    # Nearly all of one source have it, hardly any of the other: what tells the sources apart tells it too.
    targets = (signal + np.where(of_first, 2, -2) + random.logistic(size=600) > 0).astype(np.float32)[:, None]
    features = np.stack([signal, of_first + random.normal(0, 0.1, 600)], axis=1).astype(np.float32)
    sources = ["first" if first else "second" for first in of_first]

    def weights(source_penalty: float | None) -> Any:
        wanted = Regression(penalty=0.01, source_penalty=source_penalty)
        fitted = fit_regression(features, targets, np.ones_like(targets), wanted, sources=sources)
        return np.abs(fitted.kernel[:, 0] * features.std(axis=0))

    without, with_offsets = weights(None), weights(1e-4)
    assert without[1] > without[0]
    assert with_offsets[1] < with_offsets[0] < without[0] * 2
