"""The model of a registered version, as MLflow loads it.

MLflow keeps this very file beside the version folder and runs it when the model is loaded, so it needs
TensorFlow and nothing of Vitrine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

VERSION_FOLDER = "version_folder"
"""Name of the artifact: the folder that model servers load, unchanged."""


class ServedModel(PythonModel):
    """Images uint8 RGB ``[N, H, W, 3]`` → ``scores`` ``[N, L]`` and ``embedding`` ``[N, D]``, float32."""

    def load_context(self, context: Any) -> None:
        """Load the SavedModel."""
        import tensorflow as tf  # noqa: PLC0415 - takes seconds, and loading is the moment for it

        self._loaded = tf.saved_model.load(context.artifacts[VERSION_FOLDER])

    # MLflow knows this very hint, and warns of any other.
    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Answer as the signature ``serving_default`` does."""
        import tensorflow as tf  # noqa: PLC0415

        answers = self._loaded.signatures["serving_default"](images=tf.constant(model_input))
        return {name: answer.numpy() for name, answer in answers.items()}


set_model(ServedModel())
