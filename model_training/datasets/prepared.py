"""Data that is ready to learn from: a folder with what is known, how it is split, and the pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import track

from model_training.datasets.errors import DataError
from model_training.datasets.examples import targets_of
from model_training.datasets.pictures import Skipped, look
from model_training.datasets.pixels import PixelWriter, open_pixels
from pipeline.ports import PreprocessSpec

FILE = "dataset.json"
SplitName = Literal["train", "validation", "test"]

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class StoredExample(BaseModel):
    """One picture in the file."""

    path: str
    """Relative to the folder, so that a project can be moved as a whole."""
    sha256: str
    source: str
    positive: list[str]
    negative: list[str]
    group: int
    split: SplitName
    width: int
    height: int
    brightness: float


class StoredSkipped(BaseModel):
    """One picture that could not be read."""

    path: str
    reason: str


class StoredDataSet(BaseModel):
    """The file."""

    name: str
    data_hash: str
    labels: list[str]
    names: dict[str, str]
    examples: list[StoredExample]
    skipped: list[StoredSkipped]


@dataclass(frozen=True, slots=True)
class PreparedExample:
    """One picture. A label that is neither positive nor negative is unknown."""

    path: Path
    sha256: str
    source: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    group: int
    """Near duplicates have the same number and the same split."""
    split: SplitName
    width: int
    height: int
    brightness: float
    """Mean of the grey picture, 0…1."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data and where it lies."""

    folder: Path
    name: str
    data_hash: str
    """Of the pictures' bytes, their labels and their splits: the same data has the same hash everywhere."""
    labels: tuple[str, ...]
    names: dict[str, str]
    examples: tuple[PreparedExample, ...]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Positions of the pictures of a split: ``train``, ``validation`` or ``test``.

        Raises:
            ValueError: another word.
        """
        if split not in SPLITS:
            raise ValueError(f"there is no split {split!r}, only {', '.join(SPLITS)}")
        return np.flatnonzero([example.split == split for example in self.examples])

    def targets(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Labels and what is known of them; see :meth:`model_training.datasets.examples.DataSet.targets`."""
        return targets_of(self.examples, self.labels)

    def pixels(self, spec: PreprocessSpec, console: Console) -> NDArray[np.uint8]:
        """All pictures as the network gets them when it serves: ``[N, H, W, 3]``, mapped into memory.

        Made at the first call and kept in the folder.

        Raises:
            DataError: a picture is gone or has changed.
        """
        sha256s = [example.sha256 for example in self.examples]
        found = open_pixels(self.folder, spec, sha256s)
        if found is None:
            self._write_pixels(spec, console)
            found = open_pixels(self.folder, spec, sha256s)
            assert found is not None
        return found

    def _write_pixels(self, spec: PreprocessSpec, console: Console) -> None:
        pictures = look([example.path for example in self.examples], spec)
        shown = track(pictures, f"Pixels ({spec.id})", total=len(self.examples), console=console)
        with PixelWriter(self.folder, spec) as writer:
            for example, seen in zip(self.examples, shown, strict=True):
                if isinstance(seen, Skipped) or seen.sha256 != example.sha256:
                    raise DataError(f"{example.path} is not what it was when it was prepared; prepare again")
                writer.append(seen.pixels)
            writer.finish([example.sha256 for example in self.examples])


def load_prepared(folder: Path) -> Prepared:
    """Read what ``prepare`` wrote.

    Raises:
        DataError: it is not there or cannot be understood.
    """
    path = folder / FILE
    try:
        stored = StoredDataSet.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{folder} holds no prepared data: {FILE}: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{path} is not what `prepare` writes; prepare again: {error}") from error
    home = folder.resolve()
    return Prepared(
        folder=folder,
        name=stored.name,
        data_hash=stored.data_hash,
        labels=tuple(stored.labels),
        names=stored.names,
        examples=tuple(
            PreparedExample(
                path=Path(os.path.normpath(home / each.path)),
                sha256=each.sha256,
                source=each.source,
                positive=tuple(each.positive),
                negative=tuple(each.negative),
                group=each.group,
                split=each.split,
                width=each.width,
                height=each.height,
                brightness=each.brightness,
            )
            for each in stored.examples
        ),
    )
