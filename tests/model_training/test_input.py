from __future__ import annotations

import numpy as np
import pytest

from model_training.config import Augment
from model_training.datasets.augment import augmented, mixed
from model_training.datasets.input import batches, epoch_rows, training_batches
from model_training.tensorflow_runtime import load_tensorflow

EVERYTHING = Augment(flip=True, crop=0.5, rotate_degrees=15, colour=0.3, mixup=0.4)
N, SIDE = 25, 24


@pytest.fixture(scope="module")
def tf():
    return load_tensorflow()


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of which the first says the row, targets, and what is known of them."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (N, SIDE, SIDE, 3), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(N)
    known = (random.random((N, 3)) < 0.7).astype(np.float32)
    return pixels, (random.random((N, 3)) < 0.5) * known, known


def epoch(data, number: int, augment: Augment, **options):
    options = {"batch": 4, "seed": 3, "rows": np.arange(N), **options}
    return [
        tuple(part.numpy() for part in parts)
        for parts in training_batches(*data, epoch=number, augment=augment, **options)
    ]


def as_images(*pictures: np.ndarray) -> np.ndarray:
    return np.stack(pictures).astype(np.float32)


def seed_of(tf, number: int):
    return tf.constant([7, number], tf.int32)


# ---------------------------------------------------------------- order


def test_an_epoch_holds_every_row_once_with_what_is_known_of_it(data):
    pixels, targets, known = data
    rows = np.array([3, 1, 4, 15, 9, 2, 6, 5, 20])
    found = epoch(data, 0, Augment(), rows=rows)
    assert [len(images) for images, _, _ in found] == [4, 4, 1]
    images, some_targets, some_known = (np.concatenate(parts) for parts in zip(*found, strict=True))
    seen = images[:, 0, 0, 0].astype(int)
    assert sorted(seen) == sorted(rows)
    assert seen.tolist() != rows.tolist()
    assert images.dtype == np.float32
    assert np.array_equal(images, pixels[seen])
    assert np.array_equal(some_targets, targets[seen])
    assert np.array_equal(some_known, known[seen])


@pytest.mark.parametrize("augment", [Augment(), EVERYTHING])
def test_an_epoch_is_a_function_of_seed_and_number(data, augment):
    first, again = epoch(data, 5, augment), epoch(data, 5, augment)
    for parts, same in zip(first, again, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(parts, same, strict=True))
    for other in (epoch(data, 6, augment), epoch(data, 5, augment, seed=4)):
        assert not np.array_equal(first[0][0], other[0][0])


def test_the_same_picture_is_changed_otherwise_in_every_batch(data):
    found = epoch(data, 0, Augment(crop=0.3), rows=np.zeros(12, np.intp))
    images = np.concatenate([images for images, _, _ in found])
    assert len({image.tobytes() for image in images}) == 12


def test_weighted_rows_are_drawn_by_their_shares():
    rows = np.arange(100, 110)
    weights = np.array([0.55] + [0.05] * 9)
    drawn = np.concatenate(
        [epoch_rows(rows, epoch=number, seed=0, sampling_weights=weights) for number in range(300)]
    )
    assert set(drawn.tolist()) == set(rows.tolist())
    assert (drawn == 100).mean() == pytest.approx(0.55, abs=0.03)


def test_batches_for_answers_keep_the_order(data):
    pixels, _, _ = data
    rows = np.array([24, 0, 7, 7, 3])
    found = [images.numpy() for images in batches(pixels, rows, 2)]
    assert [len(images) for images in found] == [2, 2, 1]
    assert np.array_equal(np.concatenate(found), pixels[rows].astype(np.float32))


# ---------------------------------------------------------------- changes


def test_a_flip_mirrors_about_half_of_the_pictures_exactly(tf, data):
    images = as_images(*data[0])
    changed = augmented(tf.constant(images), Augment(flip=True), seed_of(tf, 0)).numpy()
    mirrored = 0
    for before, after in zip(images, changed, strict=True):
        is_mirrored = np.allclose(after, before[:, ::-1], atol=1e-2)
        assert is_mirrored or np.allclose(after, before, atol=1e-2)
        mirrored += is_mirrored
    assert N * 0.2 < mirrored < N * 0.8


def ramp() -> np.ndarray:
    """Red says how far right a pixel is, green how far down; linear, so resampling keeps it exact."""
    down, right = np.mgrid[0:SIDE, 0:SIDE]
    return np.dstack([right * 10, down * 10, np.zeros_like(down)])


def test_a_crop_keeps_the_area_that_is_asked_for_and_stays_inside(tf):
    images = as_images(*[ramp()] * 64)
    changed = augmented(tf.constant(images), Augment(crop=0.4), seed_of(tf, 1)).numpy()
    edge = 10 * (SIDE - 1)
    assert changed.min() >= -1e-2
    assert changed[..., 0].max() <= edge + 1e-2
    right = (changed[:, 12, -1, 0] - changed[:, 12, 0, 0]) / edge
    down = (changed[:, -1, 12, 1] - changed[:, 0, 12, 1]) / edge
    area = right * down
    assert area.min() > 0.3  # an elongated crop is cut off at the picture's edge
    assert area.max() <= 1
    assert area.std() > 0.1
    corners = changed[:, 0, 0, :2]
    assert corners.std(axis=0).min() > 5


def test_a_rotation_turns_about_the_middle_and_no_further_than_asked(tf):
    images = as_images(*[ramp()] * 64)
    changed = augmented(tf.constant(images), Augment(rotate_degrees=20), seed_of(tf, 2)).numpy()
    middle = changed[:, 11:13, 11:13].mean(axis=(1, 2))
    assert middle[:, :2] == pytest.approx(np.full((64, 2), 10 * (SIDE - 1) / 2), abs=0.1)
    # The way to the neighbour on the right: in red across, in green down.
    step = changed[:, 12, 14, :2] - changed[:, 12, 10, :2]
    angles = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
    assert np.abs(angles).max() <= 20.5
    assert angles.max() > 10
    assert angles.min() < -10


def test_colours_change_within_their_bounds_and_places_do_not(tf, data):
    images = as_images(*data[0])
    changed = augmented(tf.constant(images), Augment(colour=0.3), seed_of(tf, 3)).numpy()
    assert changed.min() >= 0
    assert changed.max() <= 255
    ratio = changed.mean(axis=(1, 2, 3)) / images.mean(axis=(1, 2, 3))
    assert 0.65 < ratio.min() < 0.9
    assert 1.1 < ratio.max() < 1.35
    grey = as_images(np.full((SIDE, SIDE, 3), 100))
    plain = augmented(tf.constant(grey), Augment(colour=0.3), seed_of(tf, 4)).numpy()
    assert np.ptp(plain) < 1e-3  # a grey picture has no colour to change and no contrast


def test_without_changes_the_pictures_stay_as_they_are(tf, data):
    images = as_images(*data[0])
    assert np.array_equal(augmented(tf.constant(images), Augment(), seed_of(tf, 5)).numpy(), images)


def test_mixup_blends_targets_like_pictures_and_knows_what_both_knew(tf):
    images = as_images(*(np.full((4, 4, 3), 10 * row) for row in range(6)))
    targets = np.eye(6, dtype=np.float32)
    known = np.ones((6, 6), np.float32)
    known[2, 5] = known[4, 0] = 0
    blend, some_targets, some_known = (
        part.numpy()
        for part in mixed(tf.constant(images), tf.constant(targets), tf.constant(known), 0.8, seed_of(tf, 6))
    )
    assert some_targets.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    # A blend's grey is that of its parts by the same shares as its targets.
    assert blend[:, 0, 0, 0] == pytest.approx(some_targets @ (10 * np.arange(6)), abs=1e-3)
    assert ((some_targets > 0).sum(axis=1) == 2).sum() >= 4
    expected = known * np.roll(known, 1, axis=0)
    assert np.array_equal(some_known, expected)
    assert (some_known == 0).sum() == 4


def test_shares_of_mixup_follow_the_beta_distribution(tf):
    images = tf.zeros([4000, 1, 1, 3])
    targets = tf.constant(np.eye(2, dtype=np.float32)[np.arange(4000) % 2])
    for alpha in (0.2, 1.0):
        shares = mixed(images, targets, tf.ones_like(targets), alpha, seed_of(tf, 7))[1].numpy()[::2, 0]
        assert shares.mean() == pytest.approx(0.5, abs=0.03)
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
