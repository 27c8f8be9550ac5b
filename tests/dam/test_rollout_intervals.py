"""Intervals, against the values that their authors published."""

from __future__ import annotations

import numpy as np
import pytest

from dam.rollout.intervals import Rate, newcombe, paired_difference, resamples, wilson

# R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
WILSON = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]
# R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
NEWCOMBE = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("right", "of", "low", "high"), WILSON)
def test_a_proportion_has_the_published_interval(right, of, low, high):
    interval = wilson(right, of)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    assert interval.estimate == right / of


@pytest.mark.parametrize("published", NEWCOMBE)
def test_a_difference_has_the_published_interval(published):
    right, of, right_too, of_too, *bounds = published
    interval = newcombe(Rate(right, of), Rate(right_too, of_too))
    assert [round(interval.low, 4), round(interval.high, 4)] == bounds


@pytest.mark.parametrize(("right", "of"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_proportion_is_refused(right, of):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(right, of)
    assert Rate(0, 0).interval is None


def shares(right):
    """Numerator and denominator, one decision in each row."""
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float32)


def test_pairs_of_rows_tell_more_than_two_samples_would():
    random = np.random.default_rng(7)
    # Half of the pictures are hard for both; the second is better on a tenth of them.
    first = random.random(400) < 0.5
    second = first | (random.random(400) < 0.1)
    weights = resamples(rows=400, draws=1000, seed=(1, 2))
    paired = paired_difference(weights, shares(first), shares(second))
    apart = newcombe(Rate(int(second.sum()), 400), Rate(int(first.sum()), 400))
    assert paired.estimate == pytest.approx(apart.estimate)
    assert 0 < paired.low < paired.estimate < paired.high
    assert paired.high - paired.low < 0.6 * (apart.high - apart.low)


def test_the_bootstrap_agrees_with_the_formula_for_a_mean_of_differences():
    random = np.random.default_rng(3)
    first, second = random.random(500) < 0.7, random.random(500) < 0.8
    interval = paired_difference(resamples(rows=500, draws=2000, seed=(5,)), shares(first), shares(second))
    differences = second.astype(float) - first
    spread = 1.96 * differences.std() / np.sqrt(500)
    assert interval.low == pytest.approx(differences.mean() - spread, abs=0.01)
    assert interval.high == pytest.approx(differences.mean() + spread, abs=0.01)


def test_the_same_seed_draws_the_same():
    one, again, other = (resamples(rows=50, draws=20, seed=seed) for seed in ((1, 2), (1, 2), (2, 1)))
    assert (one == again).all()
    assert (one != other).any()
    assert (one.sum(axis=1) == 50).all()


def test_a_ratio_of_nothing_has_no_interval():
    weights = resamples(rows=40, draws=200, seed=(1,))
    nothing = np.zeros((40, 2), np.float32)
    assert paired_difference(weights, nothing, shares(np.ones(40))) is None
    # Each rests on one picture: most draws leave one of the two out.
    first, second = np.zeros((40, 2), np.float32), np.zeros((40, 2), np.float32)
    first[0] = second[1] = 1
    assert paired_difference(weights, first, second) is None
    assert paired_difference(weights, first, first).estimate == 0
