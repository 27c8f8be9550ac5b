from __future__ import annotations

import cv2
import numpy as np
import pytest

from model_training.datasets.duplicates import (
    closest_across,
    near_duplicate_groups,
    perceptual_hash,
    thumbnail,
)
from model_training.datasets.splits import folds, stratified_parts
from model_training.datasets.weights import class_weights, sampling_weights

ALL = 2**64 - 1


def bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


def hash_of(pixels: np.ndarray) -> int:
    return perceptual_hash(thumbnail(pixels))


@pytest.fixture(scope="module")
def pictures(toy_pictures) -> list[np.ndarray]:
    return [cv2.imread(str(path))[:, :, ::-1].copy() for path in sorted(toy_pictures.images.iterdir())]


# ---------------------------------------------------------------- near duplicates


def test_size_brightness_and_compression_change_few_bits(pictures):
    for pixels in pictures[:20]:
        original = hash_of(pixels)
        larger = cv2.resize(pixels, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC)
        brighter = cv2.convertScaleAbs(pixels, alpha=1.1, beta=8)
        poor = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
        for changed in (larger, brighter, cv2.imdecode(poor, cv2.IMREAD_COLOR)[:, :, ::-1].copy()):
            assert (original ^ hash_of(changed)).bit_count() <= 6


def test_other_pictures_differ_in_many_bits(pictures):
    hashes = [hash_of(pixels) for pixels in pictures[:72]]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 8
    assert 28 < np.mean(distances) < 36  # half of the bits: the hashes tell as much as they can


def test_whatever_is_close_to_either_of_two_is_in_their_group():
    chain = [0, bits(0, 1), bits(0, 1, 2, 3), ALL, ALL ^ bits(7), bits(*range(32))]
    hashes = np.array(chain, np.uint64)
    assert near_duplicate_groups(hashes, 2).tolist() == [0, 0, 0, 1, 1, 2]
    assert near_duplicate_groups(hashes, 0).tolist() == [0, 1, 2, 3, 4, 5]


def test_groups_are_those_that_the_pairs_give():
    random = np.random.default_rng(3)
    centres = random.integers(0, 2**64, 300, dtype=np.uint64)
    flips = np.array([bits(*{*random.integers(0, 64, 3).tolist()}) for _ in range(1200)], np.uint64)
    of = random.integers(0, 300, 1200)
    groups = near_duplicate_groups(centres[of] ^ flips, 6)
    # 300 random centres are far apart, and members of one are at most 6 bits apart.
    assert (
        len(set(zip(groups.tolist(), of.tolist(), strict=True))) == len(set(of.tolist())) == groups.max() + 1
    )


def test_the_closest_pictures_of_different_parts_are_found():
    hashes = np.array([0, bits(1), ALL, ALL ^ bits(1, 2, 3)], np.uint64)
    assert closest_across(hashes, np.array([0, 0, 0, 1])) == (3, 2, 3)
    assert closest_across(hashes, np.zeros(4, np.intp)) is None


# ---------------------------------------------------------------- splits


@pytest.fixture(scope="module")
def labelled() -> tuple[np.ndarray, np.ndarray]:
    """2,000 examples, labels from very common to very rare, in groups of one to five."""
    random = np.random.default_rng(11)
    rates = [0.6, 0.3, 0.1, 0.05, 0.02, 0.01]
    groups = np.repeat(np.arange(1000), random.integers(1, 6, 1000))[:2000]
    return (random.random((len(groups), 6)) < rates).astype(np.float32), groups


def test_no_group_is_divided(labelled):
    labels, groups = labelled
    parts = stratified_parts(labels, groups, (0.7, 0.15, 0.15), seed=1)
    assert len(set(zip(groups.tolist(), parts.tolist(), strict=True))) == len(set(groups.tolist()))


def test_every_label_has_its_share_in_every_part(labelled):
    labels, groups = labelled
    shares = (0.7, 0.15, 0.15)
    parts = stratified_parts(labels, groups, shares, seed=1)
    for part, share in enumerate(shares):
        assert abs((parts == part).mean() - share) < 0.01
        counts = labels[parts == part].sum(axis=0)
        assert np.all(np.abs(counts - share * labels.sum(axis=0)) <= np.maximum(2, 0.03 * labels.sum(axis=0)))


def test_a_rare_label_is_spread_better_than_by_chance(labelled):
    labels, groups = labelled
    rare = labels[:, -1]
    counts = [rare[fold].sum() for fold in folds(labels, groups, 5, seed=4)]
    assert max(counts) - min(counts) <= 1


def test_the_same_seed_gives_the_same_parts_and_another_one_others(labelled):
    labels, groups = labelled
    first, again, other = (stratified_parts(labels, groups, (0.8, 0.2), seed) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_folds_hold_every_example_once(labelled):
    labels, groups = labelled
    together = np.concatenate(folds(labels, groups, 5, seed=0))
    assert sorted(together.tolist()) == list(range(len(labels)))


def test_a_part_without_a_share_stays_empty(labelled):
    labels, groups = labelled
    parts = stratified_parts(labels, groups, (0.8, 0.2, 0.0), seed=0)
    assert set(parts.tolist()) == {0, 1}


# ---------------------------------------------------------------- weights


def test_weights_of_labels_follow_their_known_positives():
    targets = np.zeros((100, 3), np.float32)
    targets[:50, 0] = targets[:10, 1] = targets[:5, 2] = 1
    known = np.ones_like(targets)
    assert class_weights(targets, known, "none").tolist() == [1, 1, 1]
    inverse = class_weights(targets, known, "inverse")
    assert inverse / inverse[0] == pytest.approx([1, 5, 10])
    # By hand from the paper's formula, β = 99/100.
    expected = np.array([0.01 / (1 - 0.99**n) for n in (50, 10, 5)])
    effective = class_weights(targets, known, "effective")
    assert effective == pytest.approx(expected / expected.mean(), rel=1e-5)
    known[:40, 0] = 0
    assert class_weights(targets, known, "inverse")[:2].tolist() == pytest.approx([0.75, 0.75])


def test_pictures_with_rare_labels_are_drawn_more_often():
    targets = np.zeros((100, 3), np.float32)
    targets[:64, 0] = targets[64:80, 1] = targets[80:81, 2] = 1
    known = np.ones_like(targets)
    weights = sampling_weights(targets, known)
    assert weights.sum() == pytest.approx(1)
    # The median label has 16 pictures: √(16 / 1) = 4 for the rarest, 1 for all others.
    assert weights / weights[0] == pytest.approx([1] * 80 + [4] + [1] * 19)
    assert sampling_weights(targets, np.zeros_like(known)) == pytest.approx(np.full(100, 0.01))
