"""The labelled photographs that the default model's projection and thresholds are fitted and measured on.

They are no part of Vitrine and nothing that a user runs needs them: ``VITRINE_DATA`` names the folder
(default ``../shared/data``), which holds ``photos/images/`` and ``photos/labels.csv``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.ports import PreprocessSpec

Network = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32]]]


class NoPhotographsError(Exception):
    """The folder of photographs is not there."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One labelled picture. ``collection`` is the set it comes from, which says how its labels were made."""

    path: Path
    collection: str
    labels: frozenset[str]


def photographs() -> list[Photograph]:
    """All of them, in the order of the file.

    Raises:
        NoPhotographsError: there is no such folder.
    """
    folder = Path(os.environ.get("VITRINE_DATA", "../shared/data")) / "photos"
    table = folder / "labels.csv"
    if not table.is_file():
        raise NoPhotographsError(f"no photographs: {table} is missing (VITRINE_DATA names the folder)")
    with table.open(newline="", encoding="utf-8") as rows:
        return [
            Photograph(
                folder / "images" / row["file"], row["set"], frozenset(filter(None, row["labels"].split(";")))
            )
            for row in csv.DictReader(rows)
        ]


def prepared(
    pictures: list[Photograph], spec: PreprocessSpec, *, batch: int = 32
) -> Iterator[NDArray[np.uint8]]:
    """The pictures as the network gets them in production: batches of uint8 RGB ``[N, H, W, 3]``."""
    from pipeline.preprocess import prepare  # noqa: PLC0415 - needs OpenCV, which no user of the model does

    def pixels(picture: Photograph) -> NDArray[np.uint8]:
        return prepare(picture.path.read_bytes(), spec).pixels

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        for start in range(0, len(pictures), batch):
            yield np.stack(list(threads.map(pixels, pictures[start : start + batch])))
