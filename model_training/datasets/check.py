"""Refuses data that nothing good can be learned from, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Data
from model_training.datasets.errors import DataError, listed
from model_training.datasets.examples import DataSet, Example, targets_of
from model_training.datasets.pictures import Seen, Skipped, look
from pipeline.ports import PreprocessSpec


@dataclass(slots=True)
class Survey:
    """What looking at all pictures brought to light."""

    examples: list[Example] = field(default_factory=list)
    """Of different bytes each; what is said of the same bytes twice is put together."""
    seen: list[Facts] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    too_small: list[str] = field(default_factory=list)
    other_bytes: list[Path] = field(default_factory=list)
    identical: int = 0
    contradictions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """Of :class:`Seen`, all but the pixels."""

    sha256: str
    width: int
    height: int
    brightness: float
    hash: int


def check_present(examples: Sequence[Example]) -> None:
    """Refuse a list that names files which are not there, before anything is decoded.

    Raises:
        DataError: naming them.
    """
    missing = [example.path for example in examples if not example.path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(examples):,} pictures are missing. Correct the folder, or the list:\n"
            f"{listed(missing)}"
        )


def survey(
    data: DataSet,
    wanted: Data,
    spec: PreprocessSpec,
    console: Console,
    keep: Callable[[NDArray[np.uint8]], None],
) -> Survey:
    """Look at every picture once.

    Args:
        data: The pictures.
        wanted: How large they have to be.
        spec: What the network asks for.
        console: For the progress bar.
        keep: Gets the pixels ``[H, W, 3]`` of those that become examples, in their order.

    Raises:
        DataError: a file cannot be opened.
    """
    found = Survey()
    position: dict[str, int] = {}
    pictures = look([example.path for example in data.examples], spec)
    shown = track(pictures, "Pictures", total=len(data.examples), console=console)
    for example, seen in zip(data.examples, shown, strict=True):
        if isinstance(seen, Skipped):
            found.skipped.append(seen)
        elif example.sha256 and example.sha256 != seen.sha256:
            found.other_bytes.append(example.path)
        elif min(seen.width, seen.height) < wanted.min_side:
            found.too_small.append(f"{example.path}: {seen.width} × {seen.height}")
        elif seen.sha256 in position:
            _put_together(found, position[seen.sha256], example)
        else:
            position[seen.sha256] = len(found.examples)
            found.examples.append(example)
            found.seen.append(_facts(seen))
            keep(seen.pixels)
    return found


def _facts(seen: Seen) -> Facts:
    return Facts(seen.sha256, seen.width, seen.height, seen.brightness, seen.hash)


def _put_together(found: Survey, row: int, again: Example) -> None:
    """What either says of the same bytes is known; where they contradict each other, nothing is."""
    first = found.examples[row]
    positive, negative = first.positive | again.positive, first.negative | again.negative
    disputed = positive & negative
    if disputed:
        found.contradictions.append(f"{first.path} and {again.path}: {', '.join(sorted(disputed))}")
    found.identical += 1
    found.examples[row] = Example(first.path, first.source, positive - disputed, negative - disputed)


def check(found: Survey, data: DataSet, wanted: Data) -> None:
    """Refuse data that is not what it should be.

    Raises:
        DataError: other bytes than those that were labelled, a wrong resolution, too many pictures that
            cannot be read, or a label without pictures.
    """
    if found.other_bytes:
        raise DataError(
            "the labels were said of other bytes than those in these files; export the decisions again:\n"
            f"{listed(found.other_bytes)}"
        )
    if found.too_small:
        raise DataError(
            f"{len(found.too_small):,} pictures have the wrong resolution: a side is shorter than "
            f"{wanted.min_side} pixels. Take them out, or lower data.min_side:\n{listed(found.too_small)}"
        )
    share = len(found.skipped) / len(data.examples)
    if share > wanted.max_corrupt_share:
        reasons = [f"{each.path}: {each.reason}" for each in found.skipped]
        raise DataError(
            f"{len(found.skipped):,} of {len(data.examples):,} pictures cannot be read ({share:.1%}, and "
            f"data.max_corrupt_share is {wanted.max_corrupt_share:.1%}):\n{listed(reasons)}"
        )
    targets, _ = targets_of(found.examples, data.labels)
    counts = targets.sum(axis=0).astype(int).tolist()
    rare = [
        f"{label}: {count}"
        for label, count in zip(data.labels, counts, strict=True)
        if count < wanted.min_positives
    ]
    if rare:
        raise DataError(
            f"too few pictures show these labels ({wanted.min_positives} are needed). Add pictures, put the "
            f"labels into data.drop_labels, or lower data.min_positives:\n{listed(rare)}"
        )
