"""Measures against scikit-learn and against cases that a person can count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_recall_curve,
    precision_score,
    recall_score,
)

from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, answers_of


def some_answers(seed: int, *, pictures: int = 60, labels: int = 5, known: float = 1.0) -> Answers:
    """Scores of two decimals, so that many are equal, and labels that go along with them."""
    chance = np.random.default_rng(seed)
    scores = np.round(chance.random((pictures, labels)), 2)
    targets = chance.random((pictures, labels)) < scores * 0.7
    return answers_of(
        tuple(f"label-{column}" for column in range(labels)),
        targets,
        chance.random((pictures, labels)) < known,
        scores,
    )


def one_label(targets: list[int], scores: list[float], known: list[int] | None = None) -> Answers:
    column = [np.array([values]).T for values in (targets, known or [1] * len(targets), scores)]
    return answers_of(("cat",), *column)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, known=st.sampled_from([0.3, 0.7, 1.0]))
def test_average_precision_is_scikit_learns_on_the_known_cells(seed: int, known: float) -> None:
    answers = some_answers(seed, known=known)
    found = metrics.average_precisions(answers)
    for column in range(len(answers.labels)):
        rows = answers.known[:, column]
        if not answers.positive[:, column].any():
            assert np.isnan(found[column])
            continue
        expected = average_precision_score(answers.targets[rows, column], answers.scores[rows, column])
        assert found[column] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_picture_drawn_twice_counts_as_two(seed: int) -> None:
    answers = some_answers(seed, known=0.8)
    drawn = np.random.default_rng(seed).integers(0, 4, (3, len(answers)))
    weights = drawn.astype(float)
    measures = (
        metrics.average_precisions,
        lambda some, w=None: metrics.recalls_at_precision(some, 0.6, w),
        lambda some, w=None: metrics.precision_at(some, 3, w),
        lambda some, w=None: metrics.shown_at(some, np.full(5, 0.5), w).f1s(),
    )
    for measure in measures:
        together = measure(answers, weights)
        for row, often in enumerate(drawn):
            repeated = answers.at(np.repeat(np.arange(len(answers)), often))
            assert together[row] == pytest.approx(measure(repeated), abs=1e-12, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_what_is_not_known_changes_nothing(seed: int) -> None:
    answers = some_answers(seed, known=0.6)
    chance = np.random.default_rng(seed + 1)
    other = Answers(
        answers.labels,
        np.where(answers.known, answers.targets, chance.random(answers.targets.shape) < 0.5),
        answers.known,
        np.where(answers.known, answers.scores, chance.random(answers.scores.shape)),
    )
    thresholds = np.full(5, 0.5)
    for measure in (
        metrics.average_precisions,
        lambda some: metrics.recalls_at_precision(some, 0.7),
        lambda some: metrics.precision_at(some, 2),
        lambda some: metrics.shown_at(some, thresholds).micro(),
        lambda some: metrics.shown_at(some, thresholds).accuracy(),
        lambda some: metrics.shown_at(some, thresholds).all_negative(),
    ):
        assert np.array_equal(measure(answers), measure(other), equal_nan=True)


def test_f1_precision_and_recall_are_scikit_learns() -> None:
    answers = some_answers(3)
    thresholds = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
    shown = metrics.shown_at(answers, thresholds)
    predicted = answers.scores >= thresholds
    assert shown.f1s() == pytest.approx(f1_score(answers.targets, predicted, average=None))
    assert shown.precisions() == pytest.approx(precision_score(answers.targets, predicted, average=None))
    assert shown.recalls() == pytest.approx(recall_score(answers.targets, predicted, average=None))
    assert shown.micro()[2] == pytest.approx(f1_score(answers.targets, predicted, average="micro"))


@pytest.mark.parametrize("precision", [0.3, 0.5, 0.8, 0.95])
def test_recall_at_a_precision_is_the_best_point_of_scikit_learns_curve(precision: float) -> None:
    answers = some_answers(5, pictures=200)
    found = metrics.recalls_at_precision(answers, precision)
    for column in range(len(answers.labels)):
        precisions, recalls, _ = precision_recall_curve(answers.targets[:, column], answers.scores[:, column])
        # The last point is (1, 0) by convention and shows nothing.
        reached = recalls[:-1][precisions[:-1] >= precision]
        assert found[column] == pytest.approx(max(reached, default=0))


def test_equal_scores_are_not_ordered_by_chance() -> None:
    # Two of four are positive and nothing tells them apart: half of what is shown is right.
    for targets in ([1, 1, 0, 0], [0, 0, 1, 1]):
        assert metrics.average_precisions(one_label(targets, [0.5] * 4)) == pytest.approx([0.5])


def test_a_label_without_positives_has_no_average_precision_and_no_place_in_the_mean() -> None:
    answers = answers_of(
        ("cat", "dog"),
        np.array([[1, 0], [0, 0], [1, 0]]),
        np.ones((3, 2)),
        np.array([[0.9, 0.3], [0.8, 0.2], [0.7, 0.1]]),
    )
    values = metrics.average_precisions(answers)
    assert values[0] == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(values[1])
    assert metrics.measurable(answers).tolist() == [True, False]
    assert metrics.mean_over(values, metrics.measurable(answers)) == pytest.approx(values[0])


def test_a_label_without_negatives_is_not_measured() -> None:
    answers = one_label([1, 1, 0], [0.1, 0.2, 0.9], known=[1, 1, 0])
    assert metrics.measurable(answers).tolist() == [False]


def test_labels_with_too_few_positives_can_be_left_out() -> None:
    answers = one_label([1, 1, 0, 0], [0.4, 0.3, 0.2, 0.1])
    assert metrics.measurable(answers, 2).tolist() == [True]
    assert metrics.measurable(answers, 3).tolist() == [False]


def test_precision_at_k_looks_at_the_best_known_labels_of_each_picture() -> None:
    answers = answers_of(
        ("a", "b", "c"),
        np.array([[1, 0, 1], [0, 1, 0], [1, 1, 1]]),
        np.array([[1, 1, 1], [0, 1, 1], [0, 0, 0]]),
        np.array([[0.9, 0.8, 0.1], [0.99, 0.5, 0.4], [0.9, 0.9, 0.9]]),
    )
    # First picture: a is right, b is not. Second: a is unknown, so b and c. Of the third nothing is known.
    assert metrics.precision_at(answers, 1) == pytest.approx((1 + 1) / 2)
    assert metrics.precision_at(answers, 2) == pytest.approx((0.5 + 0.5) / 2)
    # Three are asked for, and two are known of the second picture.
    assert metrics.precision_at(answers, 3) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_never_showing_anything_is_accurate_where_labels_are_rare() -> None:
    targets = np.zeros((100, 10))
    targets[:4] = 1
    answers = answers_of(tuple("abcdefghij"), targets, np.ones_like(targets), np.full(targets.shape, 0.1))
    shown = metrics.shown_at(answers, np.full(10, 0.5))
    assert shown.all_negative() == pytest.approx(0.96)
    assert shown.accuracy() == pytest.approx(0.96)
    assert shown.micro()[1] == 0


def test_a_label_is_shown_at_its_threshold() -> None:
    shown = metrics.shown_at(one_label([1, 1, 0, 0], [0.5, 0.4999, 0.5, 0.1]), np.array([0.5]))
    counts = [float(part[0]) for part in (shown.right, shown.missed, shown.false, shown.rejected)]
    assert counts == [1, 1, 1, 1]


def test_the_curve_ends_where_every_positive_is_found() -> None:
    recall, precision = metrics.precision_recall_curve(one_label([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]), 0)
    assert recall.tolist() == [0.5, 1]
    assert precision == pytest.approx([1, 2 / 3])
    with pytest.raises(ValueError, match="no picture is known to have 'cat'"):
        metrics.precision_recall_curve(one_label([0, 0], [0.9, 0.8]), 0)


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        (np.zeros((2, 2)), np.zeros((2, 1)), r"targets have shape \(2, 2\), expected \(2, 1\)"),
        (np.zeros((2, 1)), np.array([[np.nan], [0]]), "not all finite"),
    ],
)
def test_answers_that_do_not_fit_are_refused(targets: object, scores: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answers_of(("cat",), targets, np.ones((2, 1)), scores)
