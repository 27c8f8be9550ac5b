"""Intervals: as wide as theory says, by group, and narrow for what is paired."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, answers_of
from model_training.evaluation.bootstrap import Resampling, ends, paired_difference
from model_training.evaluation.measures import mean_average_precision


def accuracy(answers: Answers, weights):
    return metrics.shown_at(answers, np.full(len(answers.labels), 0.5), weights).accuracy()


def answers_with(seed: int, *, noise: float, pictures: int = 400, labels: int = 4) -> Answers:
    """The truth is the same for every noise: only the scores differ."""
    truth = np.random.default_rng(seed)
    targets = truth.random((pictures, labels)) < 0.3
    shared = truth.normal(size=(pictures, labels))
    own = np.random.default_rng((seed, round(noise * 1000))).normal(size=(pictures, labels))
    logits = 2.0 * targets - 1 + shared + noise * own
    return answers_of(tuple("abcd"[:labels]), targets, np.ones_like(targets), 1 / (1 + np.exp(-logits)))


def test_the_interval_of_a_share_is_as_wide_as_the_binomial_says() -> None:
    right = np.arange(400)[:, None] < 300
    answers = answers_of(("cat",), np.ones((400, 1)), np.ones((400, 1)), right * 0.9)
    found = Resampling(np.arange(400), count=4000).interval(accuracy, answers)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert (found.low, found.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


def test_copies_of_a_picture_are_no_further_evidence() -> None:
    answers = answers_with(1, noise=1)
    copied = answers.at(np.repeat(np.arange(400), 4))
    plain = Resampling(np.arange(400), count=300).interval(accuracy, answers)
    by_group = Resampling(np.repeat(np.arange(400), 4), count=300).interval(accuracy, copied)
    by_picture = Resampling(np.arange(1600), count=300).interval(accuracy, copied)
    assert (by_group.low, by_group.high) == pytest.approx((plain.low, plain.high))
    assert by_picture.high - by_picture.low < 0.7 * (plain.high - plain.low)


def test_a_group_is_drawn_as_a_whole() -> None:
    groups = np.array([7, 7, 3, 3, 3, 9])
    (weights,) = Resampling(groups, count=50).weights()
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 3]).all()
    assert (weights[:, [0, 2, 5]].sum(axis=1) == 3).all()


def test_the_same_seed_draws_the_same_and_another_draws_otherwise() -> None:
    answers = answers_with(2, noise=1)
    measure = mean_average_precision(answers)
    first, again, other = (
        Resampling(np.arange(400), count=100, seed=seed).interval(measure, answers) for seed in (5, 5, 6)
    )
    assert first == again
    assert first.value == other.value
    assert first != other


def test_how_the_resamples_are_cut_into_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = answers_with(2, noise=1)
    resampling = Resampling(np.arange(400), count=30)
    whole = resampling.distribution(metrics.average_precisions, answers)
    monkeypatch.setattr("model_training.evaluation.bootstrap._CELLS", 400 * 7)
    assert np.array_equal(resampling.distribution(metrics.average_precisions, answers), whole)
    assert whole.shape == (30, 4)


def test_the_interval_lies_around_the_measured_value() -> None:
    answers = answers_with(3, noise=1, pictures=80)
    resampling = Resampling(np.arange(80), count=400)
    measure = mean_average_precision(answers)
    found = resampling.interval(measure, answers)
    assert found.low < found.value < found.high
    # Where the percentiles alone are shifted upwards: positives drawn twice rank above negatives twice.
    samples = resampling.distribution(measure, answers)
    assert samples.mean() > found.value
    middle = ends(samples, np.array(0.0)).mean()
    assert abs(middle) < 0.02


def test_a_model_does_not_differ_from_itself() -> None:
    answers = answers_with(4, noise=1)
    found = paired_difference(
        mean_average_precision(answers), answers, answers, Resampling(np.arange(400), count=50)
    )
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_better_model_is_told_from_a_worse_one_though_their_intervals_overlap() -> None:
    worse, better = answers_with(5, noise=0.8), answers_with(5, noise=0.5)
    measure, resampling = mean_average_precision(worse), Resampling(np.arange(400), count=400)
    first, second = resampling.interval(measure, worse), resampling.interval(measure, better)
    found = paired_difference(measure, worse, better, resampling)
    assert first.high > second.low
    assert found.value == pytest.approx(second.value - first.value)
    assert 0 < found.low < found.value < found.high


def test_models_measured_on_other_truths_are_not_compared() -> None:
    first, second = answers_with(6, noise=1), answers_with(7, noise=1)
    with pytest.raises(ValueError, match="not measured on the same pictures and labels"):
        paired_difference(mean_average_precision(first), first, second, Resampling(np.arange(400), count=5))
    with pytest.raises(ValueError, match="not measured on the same pictures and labels"):
        paired_difference(
            mean_average_precision(first), first, first.at(np.arange(9)), Resampling(np.arange(9), count=5)
        )


def test_a_label_that_no_resample_could_measure_has_no_interval() -> None:
    answers = answers_of(("a", "b"), np.array([[0, 1], [0, 0]]), np.ones((2, 2)), np.zeros((2, 2)))
    resampling = Resampling(np.arange(2), count=20)
    value = metrics.average_precisions(answers)
    found = ends(resampling.distribution(metrics.average_precisions, answers), value)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()


def test_without_resamples_there_is_a_value_and_no_interval() -> None:
    answers = answers_with(8, noise=1)
    found = Resampling(np.arange(400), count=0).interval(accuracy, answers)
    assert 0 < found.value < 1
    assert np.isnan([found.low, found.high]).all()
