"""A training that takes seconds: a small network on drawn pictures, here or in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model_training.config import Config
from model_training.networks.network import Network, assembled
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.checkpoints import Progress
from model_training.training.devices import open_devices
from model_training.training.examples import Learnable
from model_training.training.loop import Loop
from model_training.training.steps import compiled, value_of

SIZE = 24
LABELS = ("red", "green", "blue")
TRAINING, VALIDATION = 40, 20


def tiny_config(**changes: Any) -> Config:
    """Two epochs of each phase, with dropout; ``changes``: whole sections."""
    content = {
        "name": "tiny",
        "data": {"sources": [{"kind": "folder", "folder": "pictures"}]},
        "input": {"size": 32, "batch": 16},
        "network": {"dropout": 0.2},
        "training": training(),
    }
    return Config.model_validate({**content, **changes})


def training(head: int = 2, fine_tune: int = 2, **changes: Any) -> dict[str, Any]:
    """The section of that name: how many epochs of each phase."""
    return {
        "head": {"epochs": head, "learning_rate": 0.02},
        "fine_tune": {"epochs": fine_tune, "learning_rate": 0.01, "weight_decay": 0.01},
        "fine_tune_layers": 0.5,
        **changes,
    }


def tiny_pictures() -> Learnable:
    """Squares of three colours on grey; of some pictures nobody said whether there is green."""
    random = np.random.default_rng(0)
    count = TRAINING + VALIDATION
    pixels = random.integers(60, 120, (count, SIZE, SIZE, 3)).astype(np.uint8)
    targets = (random.random((count, 3)) < 0.4).astype(np.float32)
    for row, column in zip(*np.nonzero(targets), strict=True):
        top, left = random.integers(0, SIZE - 10, 2)
        pixels[row, top : top + 10, left : left + 10, column] = 230
    known = np.ones_like(targets)
    known[::7, 1] = 0
    rows = np.arange(count)
    return Learnable(
        labels=LABELS,
        pixels=pixels,
        targets=targets,
        known=known,
        sources=("drawn",) * count,
        training=rows[:TRAINING],
        validation=rows[TRAINING:],
        sampling_weights=None,
        class_weights=None,
    )


def tiny_network() -> Network:
    """Three convolutions with batch norm, whose statistics are those of no picture."""
    load_tensorflow()
    from keras import Input, Model, layers  # noqa: PLC0415 - TensorFlow is set up first

    images = x = Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 64, offset=-1.5)(x)
    for number, filters in enumerate((8, 12, 16)):
        x = layers.Conv2D(filters, 3, strides=2, use_bias=False, name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU()(x)
    return assembled(Model(images, x, name="backbone"), "linear", len(LABELS))


class StoppedError(Exception):
    """What a test raises in the middle of a training."""


def train_tiny(
    folder: Path,
    config: Config,
    learnable: Learnable | None = None,
    *,
    resume: bool = False,
    stop: tuple[int, signal.Signals | None] | None = None,
) -> tuple[Progress, tuple[NDArray[Any], ...]]:
    """Train.

    Args:
        folder: Gets ``checkpoints/``.
        config: Of which input, network, loss and training count.
        learnable: None: the pictures that are drawn here.
        resume: Go on from the checkpoint.
        stop: After so many epochs, before their checkpoint, this process sends itself a signal; None for a
            signal: it raises StoppedError.

    Returns:
        How it went, and the weights of the whole network.
    """
    tf = load_tensorflow()
    from keras import utils  # noqa: PLC0415

    tf.config.experimental.enable_op_determinism()
    utils.set_random_seed(config.training.seed)
    devices = open_devices(config.training, batch=config.input.batch)
    with devices.strategy.scope():
        network = tiny_network()
    checkpoints = folder / "checkpoints"
    if devices.chief:
        checkpoints.mkdir(parents=True, exist_ok=True)

    def report(progress: Progress) -> None:
        if stop is not None and progress.epochs == stop[0]:
            if stop[1] is None:
                raise StoppedError
            os.kill(os.getpid(), stop[1])

    loop = Loop(
        config=config,
        network=network,
        front=compiled(lambda images: network.front(images, training=False), (SIZE, SIZE, 3)),
        learnable=tiny_pictures() if learnable is None else learnable,
        devices=devices,
        checkpoints=checkpoints,
        fingerprint=str(config.input) + str(config.training),
        report=report,
        console=Console(quiet=True),
    )
    progress = loop.run(resume=resume)
    return progress, tuple(value_of(weight) for weight in network.whole.weights)


def without_seconds(progress: Progress) -> Progress:
    """What must be the same whenever and wherever it ran."""
    return replace(progress, history=tuple({**entry, "seconds": None} for entry in progress.history))


def main() -> None:
    """``FOLDER CONFIG.json kill EPOCHS``: be killed; ``FOLDER CONFIG.json``: train, and write the weights."""
    folder, config = Path(sys.argv[1]), Config.model_validate_json(Path(sys.argv[2]).read_bytes())
    if sys.argv[3:]:
        train_tiny(folder, config, stop=(int(sys.argv[4]), signal.SIGKILL))
    _, weights = train_tiny(folder, config)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "weights.npz", *weights)


if __name__ == "__main__":
    main()
