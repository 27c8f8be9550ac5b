"""The layers of the heads that look at the feature map. Importing this module loads Keras."""

from __future__ import annotations

from typing import Any

from model_training.tensorflow_runtime import load_tensorflow

load_tensorflow()

# Only now: Keras imports TensorFlow by itself, before anything is decided about it.
import keras  # noqa: E402
from keras import layers, ops  # noqa: E402


@keras.saving.register_keras_serializable(package="vitrine")
class ResidualAttention(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Class-specific residual attention (Zhu and Wu 2021, arXiv:2108.02456, equations 1 to 5).

    Each label scores every place of the map, z = m·x. Its logit is the mean of z over the places, which
    a linear head on pooled features gives too, plus λ times the mean weighted by softmax(T·z): what the
    label finds at the places where it finds most. Several temperatures are several heads, summed; as in
    the authors' code T = 99 stands for the maximum. A bias is ours: rare labels need one.
    """

    def __init__(
        self, labels: int, temperatures: tuple[float, ...] = (1.0,), weight: float = 0.2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.labels, self.temperatures, self.weight = labels, tuple(temperatures), weight

    def build(self, shape: tuple[int, ...]) -> None:
        """Classifiers ``[heads, channels, labels]`` and one bias per label."""
        heads = (len(self.temperatures), shape[-1], self.labels)
        limit = keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform")
        self.kernel = self.add_weight(shape=heads, initializer=limit, name="kernel")
        self.bias = self.add_weight(shape=(self.labels,), initializer="zeros", name="bias")

    def call(self, feature_map: Any) -> Any:
        """Feature map ``[N, h, w, C]`` → logits ``[N, L]``."""
        places = ops.reshape(
            feature_map, (-1, feature_map.shape[1] * feature_map.shape[2], self.kernel.shape[1])
        )
        logits = self.bias
        for head, temperature in enumerate(self.temperatures):
            found = ops.matmul(places, self.kernel[head])
            warm = temperature * found
            attention = ops.exp(warm - ops.logsumexp(warm, axis=1, keepdims=True))
            logits = logits + ops.mean(found, axis=1) + self.weight * ops.sum(attention * found, axis=1)
        return logits

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        own = {"labels": self.labels, "temperatures": self.temperatures, "weight": self.weight}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="vitrine")
class Queries(layers.Layer):  # type: ignore[misc]
    """A learned row of vectors ``[count, width]``, the same for each picture of the batch."""

    def __init__(self, count: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.width = count, width

    def build(self, _shape: tuple[int, ...]) -> None:
        """The vectors, drawn from a standard normal distribution as in the authors' code."""
        self.queries = self.add_weight(
            shape=(self.count, self.width),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            name="queries",
        )

    def call(self, tokens: Any) -> Any:
        """Tokens ``[N, T, C]``, of which only N matters → ``[N, count, width]``."""
        return ops.broadcast_to(self.queries[None], (ops.shape(tokens)[0], self.count, self.width))

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {**super().get_config(), "count": self.count, "width": self.width}


@keras.saving.register_keras_serializable(package="vitrine")
class GroupedLogits(layers.Layer):  # type: ignore[misc]
    """Group decoding (Ridnik et al. 2021, arXiv:2111.12933, section 2.3.2): a query answers for some labels.

    Of G queries each gives ⌈L / G⌉ logits by weights of its own; what is beyond L is cut off.
    """

    def __init__(self, labels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = labels

    def build(self, shape: tuple[int, ...]) -> None:
        """Weights ``[G, width, labels of a group]`` and one bias per label."""
        _, groups, width = shape
        kernel = (groups, width, -(-self.labels // groups))
        self.kernel = self.add_weight(
            shape=kernel,
            initializer=keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform"),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.labels,), initializer="zeros", name="bias")

    def call(self, answers: Any) -> Any:
        """Decoded queries ``[N, G, width]`` → logits ``[N, L]``."""
        logits = ops.einsum("ngw,gwl->ngl", answers, self.kernel)
        flat = ops.reshape(logits, (-1, self.kernel.shape[0] * self.kernel.shape[2]))
        return flat[:, : self.labels] + self.bias

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {**super().get_config(), "labels": self.labels}
