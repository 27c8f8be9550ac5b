"""What the loop learns from, and the order in which it sees it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Augment, Config
from model_training.datasets.input import batches, epoch_rows, training_batches
from model_training.training.devices import Part
from model_training.training.feature_store import FeatureStore


@dataclass(frozen=True, slots=True)
class Learnable:
    """Prepared pictures and what is known of them."""

    labels: tuple[str, ...]
    pixels: NDArray[np.uint8]
    """``[N, H, W, 3]``, memory-mapped."""
    targets: NDArray[np.float32]
    known: NDArray[np.float32]
    sources: tuple[str, ...]
    """Of each picture."""
    training: NDArray[np.intp]
    """Rows to learn from."""
    validation: NDArray[np.intp]
    """Rows by which the best epoch is chosen. Empty: the last epoch is taken."""
    sampling_weights: NDArray[np.float64] | None
    """How often each row of ``training`` is drawn, as shares; None: each once."""
    class_weights: NDArray[np.float32] | None
    """``[labels]``; None: all weigh 1."""
    store: FeatureStore | None = None
    """Where features of all these pictures may be kept; None: nowhere."""


class Pictures:
    """The pictures themselves, changed at random where the configuration says so."""

    def __init__(self, learnable: Learnable, config: Config) -> None:
        self._learnable, self._input, self._seed = learnable, config.input, config.training.seed

    def epoch(self, number: int) -> Iterator[Part]:
        """The batches of an epoch: a function of the seed and the number alone."""
        of = self._learnable
        yield from training_batches(
            of.pixels,
            of.targets,
            of.known,
            of.training,
            batch=self._input.batch,
            epoch=number,
            seed=self._seed,
            augment=self._input.augment,
            sampling_weights=of.sampling_weights,
        )

    def validation(self) -> Iterator[Any]:
        """The pictures of validation, in order."""
        yield from batches(self._learnable.pixels, self._learnable.validation, self._input.batch)


class Features:
    """What a frozen backbone makes of the pictures, computed once instead of in each epoch."""

    def __init__(
        self, learnable: Learnable, config: Config, values: NDArray[np.float32], rows: NDArray[np.intp]
    ) -> None:
        self._learnable, self._input, self._seed = learnable, config.input, config.training.seed
        self._values = values
        self._position = np.full(len(learnable.pixels), -1, np.intp)
        self._position[rows] = np.arange(len(rows))

    def epoch(self, number: int) -> Iterator[Part]:
        """The batches of an epoch, in the order in which the pictures would come."""
        of = self._learnable
        rows = epoch_rows(of.training, epoch=number, seed=self._seed, sampling_weights=of.sampling_weights)
        for part in self._parts(rows):
            yield self._values[self._position[part]], of.targets[part], of.known[part]

    def of(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The features of some pictures."""
        return np.asarray(self._values[self._position[rows]])

    def validation(self) -> Iterator[Any]:
        """The features of validation, in order."""
        for part in self._parts(self._learnable.validation):
            yield self._values[self._position[part]]

    def _parts(self, rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        for start in range(0, len(rows), self._input.batch):
            yield rows[start : start + self._input.batch]


Examples = Pictures | Features


def is_random(augment: Augment) -> bool:
    """Whether the pictures of training differ from epoch to epoch."""
    return augment != Augment()


def features_of(
    front: Callable[[Any], Any], pixels: NDArray[np.uint8], batch: int, console: Console
) -> Iterator[NDArray[np.float32]]:
    """What ``front`` makes of all pictures ``[N, H, W, 3]``, part by part, with a progress bar."""
    rows = np.arange(len(pixels))
    steps, total = batches(pixels, rows, batch), -(-len(rows) // batch)
    for images in track(steps, "Features of the frozen backbone", total=total, console=console):
        yield np.asarray(front(images), np.float32)


def computed_features(
    learnable: Learnable,
    config: Config,
    front: Callable[[Any], Any],
    *,
    folder: Path | None,
    console: Console,
) -> Features:
    """Compute what ``front`` makes of all pictures of training and validation.

    They lie in a file without a name, so that nothing is left of them when the process ends, however it ends.

    Args:
        learnable: The pictures.
        config: Says the batch and the seed of the order.
        front: Pictures ``[N, H, W, 3]`` → what the head takes, float32.
        folder: On a disk with room for them; None: where temporary files lie.
        console: For the progress bar.
    """
    rows = np.concatenate([learnable.training, learnable.validation])
    total = -(-len(rows) // config.input.batch)
    found = batches(learnable.pixels, rows, config.input.batch)
    values = np.empty((0,), np.float32)
    done = 0
    for images in track(found, "Features of the frozen backbone", total=total, console=console):
        part = front(images).numpy()
        if not done:
            # The mapping lives on when the file is closed.
            with tempfile.TemporaryFile(dir=folder) as file:
                values = np.memmap(file, np.float32, "w+", shape=(len(rows), *part.shape[1:]))
        values[done : done + len(part)] = part
        done += len(part)
    return Features(learnable, config, values, rows)
