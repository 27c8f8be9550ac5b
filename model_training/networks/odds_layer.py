"""The layer that reads the backbone's own classes. Importing this module loads Keras."""

from __future__ import annotations

from typing import Any

from model_training.tensorflow_runtime import load_tensorflow

load_tensorflow()

# Only now: Keras imports TensorFlow by itself, before anything is decided about it.
import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

from model_training.networks.class_odds import FIRST_TRUST, Classes, class_log_odds  # noqa: E402


@keras.saving.register_keras_serializable(package="vitrine")
class ClassOdds(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """For each label the log-odds of its classes times a learned trust; 0 for a label without classes."""

    def __init__(self, labels: int, classes: int, first_trust: float = FIRST_TRUST, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels, self.classes, self.first_trust = labels, classes, first_trust

    def build(self, shape: tuple[int, ...]) -> None:
        """``trust`` ``[labels]`` learns; the classifier and what belongs to which label are given."""

        def given(name: str, shape: tuple[int, ...]) -> Any:
            return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

        self.kernel = given("kernel", (shape[-1], self.classes))
        self.bias = given("bias", (self.classes,))
        self.membership = given("membership", (self.classes, self.labels))
        first = keras.initializers.Constant(self.first_trust)
        self.trust = self.add_weight(shape=(self.labels,), initializer=first, name="trust")

    def know(self, classes: Classes) -> None:
        """Set what is given."""
        self.kernel.assign(classes.kernel)
        self.bias.assign(classes.bias)
        self.membership.assign(classes.membership)

    def log_odds(self, features: Any) -> Any:
        """Features ``[N, F]`` → ``[N, L]``, before they are trusted."""
        probabilities = ops.softmax(ops.matmul(features, self.kernel) + self.bias)
        return class_log_odds(probabilities, ops.convert_to_tensor(self.membership))

    def call(self, features: Any) -> Any:
        """Features ``[N, F]`` → ``[N, L]``, to be added to logits."""
        return self.trust * self.log_odds(features)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        own = {"labels": self.labels, "classes": self.classes, "first_trust": self.first_trust}
        return {**super().get_config(), **own}
