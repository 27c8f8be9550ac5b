"""Batches for the network, from the prepared pixels.

The order and the changes of a picture are functions of the seed and the epoch alone: a run that is resumed
sees the batches that it would have seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import Augment
from model_training.datasets.augment import augmented, mixed
from model_training.tensorflow_runtime import load_tensorflow


def epoch_rows(
    rows: NDArray[np.intp], *, epoch: int, seed: int, sampling_weights: NDArray[np.float64] | None
) -> NDArray[np.intp]:
    """The rows of one epoch in their order.

    Args:
        rows: Of the pictures to learn from.
        epoch: Its number.
        seed: Of the run.
        sampling_weights: Share of each row, which sum to 1: so many rows are drawn, each time from all.
            None: each row comes once.
    """
    random = np.random.default_rng([seed, epoch])
    if sampling_weights is None:
        return random.permutation(rows)
    return random.choice(rows, size=len(rows), p=sampling_weights)


def training_batches(  # noqa: PLR0913  # what a batch is made of
    pixels: NDArray[np.uint8],
    targets: NDArray[np.float32],
    known: NDArray[np.float32],
    rows: NDArray[np.intp],
    *,
    batch: int,
    epoch: int,
    seed: int,
    augment: Augment,
    sampling_weights: NDArray[np.float64] | None = None,
) -> Any:
    """One epoch as a ``tf.data.Dataset`` of images, targets and what is known of them.

    Images are float32 ``[B, H, W, 3]`` of 0…255, targets and known float32 ``[B, labels]``. The last batch
    may be smaller.

    Args:
        pixels: ``[N, H, W, 3]``, memory-mapped: only the rows of a batch are read.
        targets: ``[N, labels]``.
        known: ``[N, labels]``.
        rows: Of the pictures to learn from.
        batch: Pictures of a batch.
        epoch: Its number.
        seed: Of the run.
        augment: What is done to the pictures.
        sampling_weights: See :func:`epoch_rows`.
    """
    tf = load_tensorflow()
    order = epoch_rows(rows, epoch=epoch, seed=seed, sampling_weights=sampling_weights)
    run_seed = np.random.default_rng([seed, epoch, 1]).integers(2**31, dtype=np.int32)

    def changed(number: Any, images: Any, some_targets: Any, some_known: Any) -> Any:
        # The number of the batch makes its changes differ from those of the others.
        at = tf.stack([tf.constant(run_seed), tf.cast(number, tf.int32)])
        images = augmented(tf.cast(images, tf.float32), augment, at)
        if augment.mixup:
            return mixed(images, some_targets, some_known, augment.mixup, at)
        return images, some_targets, some_known

    return (
        _read(tf, order, batch, pixels, targets, known)
        .enumerate()
        .map(lambda number, part: changed(number, *part), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(2)
    )


def batches(pixels: NDArray[np.uint8], rows: NDArray[np.intp], batch: int) -> Any:
    """The pictures of these rows in their order, unchanged: float32 ``[B, H, W, 3]`` of 0…255.

    Args:
        pixels: ``[N, H, W, 3]``, memory-mapped.
        rows: Which, and in what order.
        batch: Pictures of a batch; the last may be smaller.
    """
    tf = load_tensorflow()
    return _read(tf, rows, batch, pixels).map(lambda images: tf.cast(images, tf.float32)).prefetch(2)


def _read(tf: Any, rows: NDArray[np.intp], batch: int, *arrays: NDArray[Any]) -> Any:
    """Rows of the arrays, batch by batch. Only copying happens in Python."""

    def gathered(some: NDArray[np.int64]) -> list[NDArray[Any]]:
        return [np.ascontiguousarray(array[some]) for array in arrays]

    def part(some: Any) -> Any:
        found = tf.numpy_function(gathered, [some], [array.dtype for array in arrays])
        for tensor, array in zip(found, arrays, strict=True):
            tensor.set_shape([None, *array.shape[1:]])
        return tuple(found) if len(found) > 1 else found[0]

    numbers = tf.data.Dataset.from_tensor_slices(np.asarray(rows, np.int64))
    # A few at once, so that reading from the disk overlaps; their order stays.
    return numbers.batch(batch).map(part, num_parallel_calls=2, deterministic=True)
