"""One step of training: from a batch to moved weights, on one device or on several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import Phase
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.devices import Devices

# Decay pulls weights towards 0; what shifts or scales has no reason to be small.
_NOT_DECAYED = ["bias", "gamma", "beta"]


def build_optimizer(phase: Phase, *, steps: int, scale_loss: bool) -> Any:
    """Adam, or AdamW where weights decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Args:
        phase: Says learning rate, its schedule and the decay.
        steps: Of the whole phase, for the schedule.
        scale_loss: Multiply the loss so that gradients in float16 do not vanish.
    """
    from keras import optimizers  # noqa: PLC0415 - importing Keras takes seconds

    rate: Any = phase.learning_rate
    if phase.schedule == "cosine":
        rate = optimizers.schedules.CosineDecay(rate, decay_steps=max(steps, 1))
    if phase.weight_decay:
        optimizer = optimizers.AdamW(rate, weight_decay=phase.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=_NOT_DECAYED)
    else:
        optimizer = optimizers.Adam(rate)
    return optimizers.LossScaleOptimizer(optimizer) if scale_loss else optimizer


@dataclass(frozen=True, slots=True)
class Answering:
    """The network as it answers while it learns."""

    front: Callable[..., Any] | None
    """What is computed before the head, in inference mode; None: the inputs are features."""
    head: Callable[..., Any]
    """Features → logits."""
    dropout: float = 0.0
    """Share of features hidden from the head."""

    def __call__(self, inputs: Any, seed: Any) -> Any:
        """Logits ``[N, L]``. The seed ``[2]`` decides which features are hidden."""
        return self.head(hidden(self._taken(inputs), self.dropout, seed), training=True)

    def surely(self, inputs: Any) -> Any:
        """Logits ``[N, L]`` with nothing hidden."""
        return self.head(self._taken(inputs), training=False)

    def _taken(self, inputs: Any) -> Any:
        return inputs if self.front is None else self.front(inputs, training=False)


class Step:
    """Compiled once for each phase."""

    def __init__(
        self,
        answering: Answering,
        variables: list[Any],
        optimizer: Any,
        loss: Callable[[Any, Any, Any], tuple[Any, Any]],
        devices: Devices,
    ) -> None:
        """Prepare the step.

        Args:
            answering: The network.
            variables: What moves.
            optimizer: Built for them.
            loss: (targets, known, logits) → sum and count.
            devices: Where steps run.
        """
        self._optimizer = optimizer
        tf = load_tensorflow()

        def on_one_device(inputs: Any, targets: Any, known: Any, seed: Any) -> tuple[Any, Any]:
            context = tf.distribute.get_replica_context()
            # Only what moves is watched: nothing below it is kept for a way back that nobody goes.
            moving = [variable.value for variable in variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(moving)
                logits = answering(inputs, seed)
                summed, count = loss(targets, known, logits)
                # The mean over the whole batch: each device has the sum of its share only.
                everywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
                mean = optimizer.scale_loss(tf.math.divide_no_nan(summed, everywhere))
            gradients = tape.gradient(mean, moving)
            optimizer.apply(gradients, variables)
            return summed, count

        @tf.function
        def step(arguments: Any) -> tuple[Any, Any]:
            summed, count = devices.run(on_one_device, arguments)
            return devices.total(summed), devices.total(count)

        self._step = step

    def __call__(self, arguments: Any) -> tuple[Any, Any]:
        """Move the weights. Returns the summed loss and how many labels were known, over all devices."""
        summed, count = self._step(arguments)
        return summed, count

    def learning_rate(self) -> float:
        """As it is now."""
        return float(value_of(self._optimizer.learning_rate))

    def state(self) -> tuple[NDArray[Any], ...]:
        """All that the optimizer remembers."""
        return tuple(value_of(variable) for variable in self._optimizer.variables)

    def set_state(self, values: tuple[NDArray[Any], ...]) -> None:
        """Make the optimizer remember what :meth:`state` gave."""
        for variable, value in zip(self._optimizer.variables, values, strict=True):
            variable.assign(value)


def compiled(function: Callable[[Any], Any], shape: tuple[int, ...]) -> Callable[[Any], Any]:
    """A function of float32 ``[N, *shape]`` as a graph, one for every N: tracing a network takes seconds."""
    tf = load_tensorflow()
    graph: Callable[[Any], Any] = tf.function(
        function, input_signature=[tf.TensorSpec([None, *shape], tf.float32)]
    )
    return graph


def value_of(variable: Any) -> NDArray[Any]:
    """What a variable of Keras holds now, on whatever devices it lies: a copy."""
    tf = load_tensorflow()
    return np.array(tf.convert_to_tensor(variable.value).numpy())


def hidden(taken: Any, share: float, seed: Any) -> Any:
    """Dropout of whole features, the same ones at each place of a feature map.

    A function of the seed: no generator has a state that a checkpoint would have to keep.
    """
    if not share:
        return taken
    tf = load_tensorflow()
    shape = tf.shape(taken)
    places = tf.ones([len(taken.shape) - 2], tf.int32)
    noise = tf.concat([shape[:1], places, shape[-1:]], axis=0)
    return tf.nn.experimental.stateless_dropout(taken, share, seed, noise_shape=noise)
