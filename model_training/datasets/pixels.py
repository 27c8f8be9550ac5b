"""Prepared pixels on the disk: one file for each way of preparing, mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.ports import PreprocessSpec

FOLDER = "pixels"


def _pictures_id(sha256s: Sequence[str]) -> str:
    """Names the pictures and their order."""
    return hashlib.sha256("\n".join(sha256s).encode()).hexdigest()


def _facts(spec: PreprocessSpec, sha256s: Sequence[str]) -> dict[str, object]:
    return {
        "pictures": _pictures_id(sha256s),
        "shape": [len(sha256s), spec.height, spec.width, 3],
        "preprocess": spec.model_dump(),
    }


class PixelWriter:
    """Writes the pixels of one picture after the other. Nobody sees the file before it is finished."""

    def __init__(self, folder: Path, spec: PreprocessSpec) -> None:
        """``folder``: of the prepared data."""
        self._folder, self._spec = folder / FOLDER, spec
        self._folder.mkdir(parents=True, exist_ok=True)
        # Several searches may prepare the same at once: each writes its own, the last one stays.
        self._unfinished = self._folder / f"{spec.id}.{os.getpid()}.part"
        self._file = self._unfinished.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._unfinished.unlink(missing_ok=True)

    def append(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture, uint8 ``[H, W, 3]``."""
        self._file.write(pixels.tobytes())

    def finish(self, sha256s: Sequence[str]) -> None:
        """That were all; ``sha256s`` names them in order. A file of other pictures is replaced."""
        self._file.close()
        facts = self._folder / f"{self._spec.id}.json"
        # Without its facts a file counts for nothing, so that no stop in between leaves a wrong pair.
        facts.unlink(missing_ok=True)
        self._unfinished.replace(self._folder / f"{self._spec.id}.u8")
        unfinished = facts.with_suffix(f".json.{os.getpid()}.part")
        unfinished.write_text(json.dumps(_facts(self._spec, sha256s), indent=1) + "\n", encoding="utf-8")
        unfinished.replace(facts)


def open_pixels(folder: Path, spec: PreprocessSpec, sha256s: Sequence[str]) -> NDArray[np.uint8] | None:
    """The pixels of these pictures ``[N, H, W, 3]``, read only and mapped; None: they are not there.

    Args:
        folder: Of the prepared data.
        spec: How they are to be prepared.
        sha256s: The pictures in their order.
    """
    try:
        facts = json.loads((folder / FOLDER / f"{spec.id}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if facts != _facts(spec, sha256s):
        return None
    shape = (len(sha256s), spec.height, spec.width, 3)
    return np.memmap(folder / FOLDER / f"{spec.id}.u8", np.uint8, "r", shape=shape)


def drop_others(folder: Path, sha256s: Sequence[str]) -> None:
    """Delete the pixels of other pictures than these: they would never be read again."""
    wanted = _pictures_id(sha256s)
    for facts in (folder / FOLDER).glob("*.json"):
        if json.loads(facts.read_text(encoding="utf-8"))["pictures"] != wanted:
            facts.unlink()
            facts.with_suffix(".u8").unlink(missing_ok=True)
