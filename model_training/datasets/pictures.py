"""Looks at pictures: whether they can be read, which bytes they are, what they look like."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_training.datasets.duplicates import perceptual_hash, thumbnail
from model_training.datasets.errors import DataError
from pipeline.ports import PreprocessSpec
from pipeline.preprocess import BadPictureError, prepare

_AHEAD = 16  # pictures for each thread


@dataclass(frozen=True, slots=True)
class Seen:
    """What a readable picture turned out to be."""

    sha256: str
    width: int
    height: int
    brightness: float
    """Mean of the grey picture, 0…1."""
    hash: int
    """See :func:`model_training.datasets.duplicates.perceptual_hash`."""
    pixels: NDArray[np.uint8]
    """For the network: ``[H, W, 3]``."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that cannot be read."""

    path: Path
    reason: str


def look(paths: Sequence[Path], spec: PreprocessSpec) -> Iterator[Seen | Skipped]:
    """What each picture is, in order; several are decoded at once, and only a few wait in memory.

    Raises:
        DataError: a file cannot be opened.
    """
    threads = cpu_count() or 1
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Seen | Skipped]] = deque()
    try:
        for path in paths:
            waiting.append(pool.submit(_look_at, path, spec))
            if len(waiting) >= threads * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _look_at(path: Path, spec: PreprocessSpec) -> Seen | Skipped:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    try:
        picture = prepare(data, spec)
    except BadPictureError as error:
        return Skipped(path, str(error))
    grey = thumbnail(picture.preview)
    return Seen(
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
        brightness=round(float(grey.mean()) / 255, 4),
        hash=perceptual_hash(grey),
        pixels=picture.pixels,
    )
