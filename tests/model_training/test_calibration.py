"""Scores become probabilities, thresholds keep what they promise; both are refused where data are too few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from model_training.evaluation.answers import answers_of
from model_training.evaluation.calibration import (
    MIN_POSITIVES,
    calibrate,
    fit_platt,
    load_calibration,
    save_calibration,
    sigmoid,
)
from model_training.evaluation.reliability import calibration_errors, pooled, reliability
from model_training.evaluation.thresholds import DEFAULT_THRESHOLD, threshold_for, wilson


def labelled(seed: int, *, count: int = 400, scale: float = 1.0, offset: float = 0.0):
    """Logits, and labels drawn with the probability sigmoid(scale · logit + offset)."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 2, count)
    return logits, chance.random(count) < sigmoid(scale * logits + offset)


def test_the_fit_finds_the_scale_that_drew_the_labels() -> None:
    logits, targets = labelled(1, count=200_000, scale=0.6, offset=-0.4)
    platt = fit_platt(logits, targets)
    assert (platt.scale, platt.offset) == pytest.approx((0.6, -0.4), abs=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_fit_is_a_logistic_regression_on_platts_smoothed_targets(seed: int) -> None:
    logits, targets = labelled(seed, count=120, scale=1.5, offset=0.5)
    positives, negatives = int(targets.sum()), int((~targets).sum())
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    wanted = np.where(targets, high, low)
    # A target of 0.9 is nine tenths of a positive and one tenth of a negative.
    reference = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([1, 0], len(logits)),
        sample_weight=np.concatenate([wanted, 1 - wanted]),
    )
    platt = fit_platt(logits, targets)
    assert platt.scale == pytest.approx(reference.coef_[0, 0], rel=1e-3, abs=1e-4)
    assert platt.offset == pytest.approx(reference.intercept_[0], rel=1e-3, abs=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    stretch=st.floats(1e-3, 1e3),
    shift=st.floats(-50, 50),
)
def test_how_large_the_logits_are_does_not_matter(seed: int, stretch: float, shift: float) -> None:
    logits, targets = labelled(seed, count=100)
    plain, other = fit_platt(logits, targets), fit_platt(stretch * logits + shift, targets)
    expected = sigmoid(plain.scale * logits + plain.offset)
    assert sigmoid(other.scale * (stretch * logits + shift) + other.offset) == pytest.approx(
        expected, abs=1e-5
    )


def test_a_label_that_is_told_perfectly_is_still_not_certain() -> None:
    logits = np.array([-8.0] * 30 + [8.0] * 10)
    platt = fit_platt(logits, logits > 0)
    assert sigmoid(np.array([platt.scale * 8 + platt.offset]))[0] == pytest.approx(11 / 12, abs=1e-6)
    assert sigmoid(np.array([platt.scale * -8 + platt.offset]))[0] == pytest.approx(1 / 32, abs=1e-6)


@pytest.mark.parametrize("target", [True, False])
def test_logits_that_are_all_equal_or_labels_that_are_give_a_finite_fit(target: bool) -> None:
    for logits in (np.full(20, 3.0), np.linspace(-3, 3, 20)):
        platt = fit_platt(logits, np.full(20, target))
        assert np.isfinite([platt.scale, platt.offset]).all()


def four_labels(positives: int):
    """``plenty``, ``few`` (so many positives), ``upside-down`` (worse than chance), ``unknown``."""
    chance = np.random.default_rng(8)
    logits = chance.normal(-2, 8, (600, 4))
    targets = chance.random((600, 4)) < sigmoid(0.5 * logits)
    targets[:, 2] = ~targets[:, 2]
    targets[:, 1] = False
    targets[np.argsort(-logits[:, 1])[:positives], 1] = True
    known = np.ones((600, 4), bool)
    known[:, 3] = False
    return calibrate(
        ("plenty", "few", "upside-down", "unknown"), logits, targets, known, precision=0.7
    ).labels


def test_a_label_with_enough_pictures_gets_its_own_scale_and_threshold() -> None:
    label = four_labels(MIN_POSITIVES)["plenty"]
    assert label.calibrated
    assert label.scale == pytest.approx(0.5, abs=0.1)
    assert label.positives + label.negatives == 600
    assert label.threshold_precision is not None
    assert label.threshold_precision >= 0.7
    assert label.threshold != DEFAULT_THRESHOLD


@pytest.mark.parametrize("label", ["few", "upside-down", "unknown"])
def test_a_label_that_cannot_be_calibrated_says_so_and_keeps_the_default_threshold(label: str) -> None:
    labels = four_labels(MIN_POSITIVES - 1)
    assert not labels[label].calibrated
    assert labels[label].threshold == DEFAULT_THRESHOLD
    assert labels[label].threshold_precision is None
    # The order of the pictures is what the network said, never turned round.
    assert labels[label].scale > 0


def test_labels_that_cannot_be_calibrated_share_one_scale() -> None:
    labels = four_labels(MIN_POSITIVES - 1)
    assert labels["few"].scale == labels["unknown"].scale != labels["plenty"].scale
    assert four_labels(MIN_POSITIVES)["few"].calibrated


def test_what_nobody_labelled_is_no_evidence() -> None:
    logits, targets = labelled(4)
    known = np.zeros((800, 1), bool)
    known[:400] = True
    wide = calibrate(
        ("cat",),
        np.concatenate([logits, np.full(400, 30.0)])[:, None],
        np.concatenate([targets, np.zeros(400, bool)])[:, None],
        known,
        precision=0.8,
    )
    narrow = calibrate(("cat",), logits[:, None], targets[:, None], np.ones((400, 1), bool), precision=0.8)
    assert wide == narrow


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    logits, targets = labelled(5)
    calibration = calibrate(
        ("cat",), logits[:, None], targets[:, None], np.ones((400, 1), bool), precision=0.8
    )
    save_calibration(tmp_path / "calibration.json", calibration)
    again = load_calibration(tmp_path / "calibration.json")
    assert again == calibration
    one = calibration.labels["cat"]
    assert again.scores(logits[:, None])[:, 0] == pytest.approx(
        1 / (1 + np.exp(-(one.scale * logits + one.offset)))
    )
    assert again.thresholds().tolist() == [one.threshold]


# ---------------------------------------------------------------- thresholds


def test_sixteen_right_of_sixteen_prove_a_precision_of_eight_in_ten_and_fifteen_do_not() -> None:
    assert wilson(16, 16)[0] >= 0.8 > wilson(15, 15)[0]
    scores = np.linspace(0.9, 0.1, 40)
    for right, proven in ((16, True), (15, False)):
        assert (threshold_for(scores, np.arange(40) < right, 0.8) is not None) is proven


def test_the_threshold_is_the_lowest_score_that_still_gains_a_positive() -> None:
    scores = np.linspace(0.99, 0.01, 99)
    targets = np.arange(99) < 50
    found = threshold_for(scores, targets, 0.8)
    assert found is not None
    # A few more, wrong ones, would still be precise enough, and would find nothing.
    assert (found.value, found.right, found.shown) == (pytest.approx(scores[49]), 50, 50)
    assert found.low == pytest.approx(wilson(50, 50)[0])


def test_equal_scores_are_shown_together() -> None:
    scores = np.array([0.9] * 30 + [0.6] * 30)
    targets = np.array([True] * 31 + [False] * 29)
    found = threshold_for(scores, targets, 0.8)
    assert found is not None
    assert (found.value, found.shown) == (0.9, 30)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), precision=st.sampled_from([0.5, 0.8, 0.95]))
def test_a_threshold_keeps_its_promise_on_the_pictures_that_chose_it(seed: int, precision: float) -> None:
    logits, targets = labelled(seed, count=300, scale=2)
    scores = np.round(sigmoid(logits), 2)
    found = threshold_for(scores, targets, precision)
    if found is not None:
        shown = scores >= found.value
        assert (int(targets[shown].sum()), int(shown.sum())) == (found.right, found.shown)
        assert wilson(found.right, found.shown)[0] == found.low >= precision


# ---------------------------------------------------------------- reliability


def test_the_error_is_the_distance_between_what_is_said_and_what_is() -> None:
    scores = np.array([0.95] * 100 + [0.35] * 100)
    targets = np.array([True] * 75 + [False] * 25 + [True] * 35 + [False] * 65)
    assert reliability(scores, targets).error() == pytest.approx((0.2 + 0) / 2)


def test_scores_below_the_floor_do_not_count() -> None:
    scores = np.concatenate([np.full(50, 0.95), np.full(10_000, 0.05)])
    curve = reliability(scores, np.zeros(10_050, bool))
    assert curve.counts.sum() == 50
    assert curve.error() == pytest.approx(0.95)
    assert np.isnan(reliability(np.full(5, 0.05), np.zeros(5, bool)).error())


def test_every_score_from_the_floor_to_one_has_a_bin() -> None:
    scores = np.array([0.1, 0.15, 0.2, 0.5, 1.0])
    curve = reliability(scores, np.ones(5, bool), floor=0.1, bins=10)
    assert curve.counts.sum() == 5
    assert (curve.counts[0], curve.counts[-1]) == (2, 1)


def test_probabilities_that_are_right_have_a_small_error() -> None:
    chance = np.random.default_rng(2)
    scores = chance.random((20_000, 2))
    targets = chance.random((20_000, 2)) < np.stack([scores[:, 0], scores[:, 1] ** 2], axis=1)
    answers = answers_of(("right", "too-sure"), targets, np.ones_like(targets), scores)
    right, sure = calibration_errors(answers)
    assert right.error < 0.02
    # The mean of x - x² over 0.1…1.
    assert sure.error == pytest.approx(0.18, abs=0.01)
    assert right.share == pytest.approx(0.9, abs=0.01)
    assert right.error < pooled(answers).error() < sure.error


@pytest.mark.parametrize("count", [30, 300])
def test_what_chance_shows_of_right_probabilities_is_foretold(count: int) -> None:
    chance = np.random.default_rng(9)
    curves = []
    for _ in range(300):
        scores = chance.uniform(0.1, 1, count)
        curves.append(reliability(scores, chance.random(count) < scores))
    shown = np.mean([curve.error() for curve in curves])
    assert np.mean([curve.error_by_chance() for curve in curves]) == pytest.approx(shown, rel=0.1)


def test_an_error_of_few_scores_is_not_told() -> None:
    answers = answers_of(("cat",), np.ones((19, 1)), np.ones((19, 1)), np.full((19, 1), 0.9))
    (found,) = calibration_errors(answers)
    assert np.isnan(found.error)
    assert (found.scores, found.share) == (19, 1)
