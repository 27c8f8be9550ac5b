"""Features of a frozen backbone, kept beside the pixels that they were computed from: they cost minutes.

Every run, trial and fold on the same pictures with the same backbone asks for the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

FOLDER = "features"


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Where the features of some pictures are kept."""

    folder: Path
    pictures: str
    """Names the pixels: which pictures, prepared how."""

    def features(
        self,
        weights: Sequence[NDArray[Any]],
        precision: str,
        compute: Callable[[], Iterator[NDArray[Any]]],
    ) -> NDArray[Any]:
        """The features of all pictures, in order, mapped into memory.

        Args:
            weights: Of the backbone, which together with the pictures name the file.
            precision: What it computes in, and if these are not its features, what else they are.
            compute: Gives them part by part; called only where they are not there yet.
        """
        path = self.folder / f"{self._key(weights, precision)}.npy"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            found = np.concatenate(list(compute()))
            # By one rename, so that a process which was killed leaves nothing that is taken for features.
            new = self.folder / f".{path.stem}-{uuid4().hex}.npy"
            np.save(new, found)
            new.replace(path)
        values: NDArray[Any] = np.load(path, mmap_mode="r")
        return values

    def _key(self, weights: Sequence[NDArray[Any]], precision: str) -> str:
        digest = hashlib.sha256(f"{self.pictures} {precision}".encode())
        for weight in weights:
            digest.update(np.ascontiguousarray(weight).tobytes())
        return digest.hexdigest()[:32]


def feature_store(folder: Path, sha256s: Sequence[str], preprocess_id: str) -> FeatureStore:
    """The store of prepared pictures.

    Args:
        folder: Of the prepared data.
        sha256s: Of the pictures' files, in their order.
        preprocess_id: How their pixels were made.
    """
    digest = hashlib.sha256("\n".join([preprocess_id, *sha256s]).encode())
    return FeatureStore(folder / FOLDER, digest.hexdigest())
