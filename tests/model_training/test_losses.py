"""The losses against their papers' formulas, written out here in float64 with probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_training.config import Loss
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.losses import (
    Elementwise,
    asymmetric,
    binary_cross_entropy,
    elementwise,
    focal,
    masked_sum,
)

tf = load_tensorflow()

LOGITS = np.array([[-6.0, -2.2, -0.3, 0.0], [0.4, 1.7, 3.1, 7.5], [-1.0, 2.0, -3.0, 4.0]])
HARD = np.array([[0.0, 1, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0]])
SOFT = np.array([[0.0, 0.25, 0.9, 1], [1, 0.5, 0.3, 0], [0.75, 1, 0.1, 0]])

Matrix = NDArray[np.float64]


def computed(loss: Elementwise, targets: Matrix, logits: Matrix = LOGITS) -> Any:
    return loss(tf.constant(targets, tf.float32), tf.constant(logits, tf.float32)).numpy()


def sigmoid(logits: Matrix) -> Matrix:
    return 1 / (1 + np.exp(-logits))


def cross_entropy(targets: Matrix) -> Matrix:
    p = sigmoid(LOGITS)
    return -targets * np.log(p) - (1 - targets) * np.log(1 - p)


@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_cross_entropy_is_that_of_probabilities(targets: Matrix) -> None:
    assert computed(binary_cross_entropy(), targets) == pytest.approx(cross_entropy(targets), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_loss_is_equation_4_of_its_paper(gamma: float) -> None:
    p = sigmoid(LOGITS)
    right = np.where(HARD == 1, p, 1 - p)  # pt of the paper
    assert computed(focal(gamma), HARD) == pytest.approx(-((1 - right) ** gamma) * np.log(right), rel=1e-4)


def test_focal_loss_has_the_value_that_its_paper_prints() -> None:
    """Section 3.2: with γ = 2, an example of pt = 0.9 has 100 times lower loss than by cross-entropy."""
    logit = np.array([[np.log(9.0)]])
    one = np.ones((1, 1))
    ratio = computed(binary_cross_entropy(), one, logit) / computed(focal(2.0), one, logit)
    assert ratio == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize(("positive", "negative", "clip"), [(0, 4, 0.05), (1, 2, 0.2), (0.5, 3, 0.0)])
def test_asymmetric_loss_is_equations_4_to_7_of_its_paper(
    positive: float, negative: float, clip: float
) -> None:
    p = sigmoid(LOGITS)
    shifted = np.maximum(p - clip, 0)
    of_positives = -((1 - p) ** positive) * np.log(p)
    of_negatives = -(shifted**negative) * np.log(1 - shifted)
    expected = HARD * of_positives + (1 - HARD) * of_negatives
    assert computed(asymmetric(positive, negative, clip), HARD) == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_the_losses_are_one_where_their_papers_say_so(targets: Matrix) -> None:
    assert computed(focal(0.0), targets) == pytest.approx(cross_entropy(targets), rel=1e-5)
    assert computed(asymmetric(0, 0, 0), targets) == pytest.approx(cross_entropy(targets), rel=1e-5)
    assert computed(asymmetric(2, 2, 0), targets) == pytest.approx(computed(focal(2), targets), rel=1e-5)


@pytest.mark.parametrize(
    "loss", [binary_cross_entropy(), focal(2.0), asymmetric(0, 4, 0.05), asymmetric(0, 0.5, 0.05)]
)
def test_values_and_gradients_stay_finite_where_probabilities_are_0_or_1(loss: Elementwise) -> None:
    logits = tf.Variable([[-200.0, -90, 0, 90, 200]])
    for target in (0.0, 1.0):
        with tf.GradientTape() as tape:
            value = loss(tf.fill([1, 5], target), logits)
        assert np.isfinite(value.numpy()).all()
        assert np.isfinite(tape.gradient(value, logits).numpy()).all()


def test_easy_negatives_below_the_margin_teach_nothing() -> None:
    logits = tf.Variable([[-4.0, -1.0]])  # p of 0.018 and 0.27
    with tf.GradientTape() as tape:
        value = asymmetric(0, 4, 0.05)(tf.zeros([1, 2]), logits)
    easy, hard = tape.gradient(value, logits).numpy()[0]
    assert easy == 0
    assert hard > 0


def test_smoothing_moves_targets_towards_the_middle() -> None:
    smoothed = elementwise(Loss(kind="bce", label_smoothing=0.1))
    assert computed(smoothed, HARD) == pytest.approx(cross_entropy(HARD * 0.9 + 0.05), rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "focal", "asymmetric"])
def test_unknown_labels_count_in_neither_sum_nor_gradient(kind: Any) -> None:
    known = np.ones_like(HARD)
    known[0, 1] = known[2, 3] = 0
    loss = elementwise(Loss(kind=kind))
    weights = np.array([1, 2, 0.5, 1], np.float32)
    logits = tf.Variable(LOGITS, dtype=tf.float32)
    with tf.GradientTape() as tape:
        summed, count = masked_sum(loss, weights)(
            tf.constant(HARD, tf.float32), tf.constant(known, tf.float32), logits
        )
    assert float(summed) == pytest.approx((computed(loss, HARD) * known * weights).sum(), rel=1e-5)
    assert float(count) == known.sum() == 10
    gradient = tape.gradient(summed, logits).numpy()
    assert (gradient[known == 0] == 0).all()
    assert (gradient[HARD == 1][known[HARD == 1] == 1] < 0).all()
    other = np.where(known == 1, LOGITS, 1e30)
    again, _ = masked_sum(loss, weights)(
        tf.constant(HARD, tf.float32), tf.constant(known, tf.float32), tf.constant(other, tf.float32)
    )
    assert float(again) == float(summed)
