"""The projection of the network's 1,280 features to the 320 numbers of an embedding.

A principal component analysis, fitted without labels on the features of photographs by
``python -m model_training fit-projection``. What it was fitted on and what it loses: docs/models.md.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

FILE = "efficientnet-lite2-pca320.npz"
DIMENSIONS = 320


@dataclass(frozen=True, slots=True)
class Projection:
    """Embedding = (features / ‖features‖ - mean) · components, then made unit length."""

    mean: NDArray[np.float32]
    """``[features]``"""
    components: NDArray[np.float32]
    """``[features, dimensions]``, orthonormal columns up to the rounding to float16."""
    space: str = "efficientnet-lite2"
    """What made the features; begins the id."""

    @property
    def id(self) -> str:
        """Names the space: embeddings of different ids must never be compared."""
        digest = hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()
        return f"{self.space}-pca{self.components.shape[1]}-{digest[:8]}"

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features ``[N, F]`` → embeddings ``[N, D]`` of unit length; the reference for the graph."""
        unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        projected = (unit - self.mean) @ self.components
        lengths = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        return np.asarray(projected / lengths, dtype=np.float32)


def load_projection() -> Projection:
    """The projection that is shipped with the package."""
    content = files(__package__).joinpath(FILE).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Projection(arrays["mean"].astype(np.float32), arrays["components"].astype(np.float32))
