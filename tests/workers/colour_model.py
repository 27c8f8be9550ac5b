"""A model that can be understood by eye: how red, green and blue a picture is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.messages import ModelIdentity
from pipeline.ports import ModelMissingError, ModelSpec, Predictions, PredictorDownError, PreprocessSpec

LABELS = ("red", "green", "blue", "never")
DIMENSIONS = 320
"""Of the embedding, as the catalogue stores it; all but three are zero."""


def model_spec(version: int = 1, *, width: int = 32, height: int = 24, fit: str = "squash") -> ModelSpec:
    preprocess = PreprocessSpec(id=f"{fit}-{width}x{height}", width=width, height=height, fit=fit)
    identity = ModelIdentity(
        name="tagger",
        version=version,
        preprocess_id=preprocess.id,
        vocabulary_id="colours",
        embedding_id="mean-colour",
    )
    return ModelSpec(identity, preprocess, LABELS)


@dataclass
class ColourModel:
    """A Predictor in this process, with versions to roll out and outages to switch on."""

    served: dict[str, ModelSpec] = field(default_factory=lambda: {"": model_spec()})
    """What answers to each label now."""
    announced: dict[str, ModelSpec] = field(default_factory=dict)
    """What ``spec`` still says, where that lags behind."""
    down: bool = False
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Label and number of pictures of every answer given."""

    def spec(self, label: str = "") -> ModelSpec:
        return self.announced.get(label) or self._serving(label)

    def predict(self, images: NDArray[np.uint8], *, label: str = "") -> Predictions:
        spec = self._serving(label)
        if images.shape[1:] != (spec.preprocess.height, spec.preprocess.width, 3):
            raise ValueError(f"images of shape {images.shape}")
        self.asked.append((label, len(images)))
        mean = images.reshape(len(images), -1, 3).mean(axis=1).astype(np.float32)
        scores = np.hstack([mean / 255, np.zeros((len(images), 1), np.float32)])
        unit = mean / np.maximum(1e-6, np.linalg.norm(mean, axis=1, keepdims=True))
        return Predictions(spec, scores, np.pad(unit, [(0, 0), (0, DIMENSIONS - 3)]))

    def _serving(self, label: str) -> ModelSpec:
        if self.down:
            raise PredictorDownError("switched off")
        if label not in self.served:
            raise ModelMissingError(label)
        return self.served[label]
