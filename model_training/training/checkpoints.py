"""The state of a run after an epoch, in one file that is always whole.

Everything that the next epoch depends on is in it: weights, the optimizer with its count of steps, the best
weights so far, and how long nothing was better. Random numbers need no state: order, augmentation and
dropout are functions of the seed, the epoch and the step.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "last.npz"
FORMAT = 1

Arrays = tuple[NDArray[Any], ...]


class CheckpointError(Exception):
    """The checkpoint cannot be read, or belongs to another run than the one that is to go on."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    phase: int = 0
    """0: the head; 1: fine-tuning."""
    epochs: int = 0
    """Done, over both phases."""
    phase_epochs: int = 0
    """Done in this phase."""
    best: float | None = None
    """The highest validation mAP so far; None: nothing to measure with, or not yet."""
    best_epoch: int = 0
    stale: int = 0
    """Epochs of this phase since it was reached."""
    history: tuple[dict[str, Any], ...] = ()

    def after(self, entry: dict[str, Any], measured: float | None) -> Progress:
        """One epoch later. ``measured`` is its validation mAP, None if there is nothing to measure with."""
        epochs = self.epochs + 1
        later = replace(
            self, epochs=epochs, phase_epochs=self.phase_epochs + 1, history=(*self.history, entry)
        )
        if measured is None:
            return replace(later, best_epoch=epochs)
        if self.best is None or measured > self.best:
            return replace(later, best=measured, best_epoch=epochs, stale=0)
        return replace(later, stale=self.stale + 1)

    @property
    def is_best(self) -> bool:
        """Whether the last epoch is the best one so far."""
        return self.best_epoch == self.epochs


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress and the numbers that belong to it."""

    fingerprint: str
    """Of the configuration and the data: a run goes on with nothing else."""
    progress: Progress
    weights: Arrays = field(repr=False)
    optimizer: Arrays = field(repr=False)
    """Empty between phases: the next one starts with its own."""
    best: Arrays = field(repr=False)


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Replace the folder's checkpoint, in one step: a crash leaves the old one or the new one."""
    facts = {"format": FORMAT, "fingerprint": checkpoint.fingerprint, "progress": asdict(checkpoint.progress)}
    arrays = {
        f"{part}/{index}": values
        for part in ("weights", "optimizer", "best")
        for index, values in enumerate(getattr(checkpoint, part))
    }
    content = io.BytesIO()
    np.savez(content, facts=np.array(json.dumps(facts)), **arrays)
    new = folder / f".{FILE}.new"
    with new.open("wb") as file:
        file.write(content.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / FILE)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The folder's checkpoint; None: there is none yet.

    Raises:
        CheckpointError: it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts["format"] != FORMAT:
                raise CheckpointError(f"{path} has format {facts['format']}, this version reads {FORMAT}")
            parts = {part: _numbered(arrays, part) for part in ("weights", "optimizer", "best")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    progress = {**facts["progress"], "history": tuple(facts["progress"]["history"])}
    return Checkpoint(fingerprint=facts["fingerprint"], progress=Progress(**progress), **parts)


def _numbered(arrays: Any, part: str) -> Arrays:
    count = sum(name.startswith(f"{part}/") for name in arrays.files)
    return tuple(arrays[f"{part}/{index}"] for index in range(count))
