"""On which devices a run computes: one, all of one machine, or those of several processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import ConfigError, Training
from model_training.tensorflow_runtime import load_tensorflow

Part = tuple[Any, Any, Any]
"""Inputs, targets and known labels of some pictures."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Where steps run. Every process sees every batch and takes its share of it."""

    strategy: Any
    """A ``tf.distribute.Strategy``."""
    chief: bool
    """Whether this process writes: the run's folder, the tracker, the console."""

    @property
    def replicas(self) -> int:
        """How many devices share a batch."""
        return int(self.strategy.num_replicas_in_sync)

    def spread(self, batch: Part, seed: np.random.SeedSequence) -> Any:
        """A whole batch as what a step gets on each device: its share, and a seed of its own ``[2]``."""
        tf = load_tensorflow()
        seeds = seed.generate_state(2 * self.replicas).astype(np.int64).reshape(-1, 2)

        def share(replica: int) -> Any:
            own = tuple(tf.convert_to_tensor(part[replica :: self.replicas]) for part in batch)
            return (*own, tf.constant(seeds[replica]))

        if self.replicas == 1:
            return share(0)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: share(context.replica_id_in_sync_group)
        )

    def run(self, step: Callable[..., Any], arguments: Any) -> Any:
        """Run a step on every device; call this inside a ``tf.function``."""
        return self.strategy.run(step, args=arguments)

    def total(self, values: Any) -> Any:
        """The sum of what the devices gave."""
        tf = load_tensorflow()
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    def from_chief(self, value: float) -> float:
        """A number of the chief, known to every process; each has to ask."""
        if self.replicas == 1:
            return value
        tf = load_tensorflow()

        def own(context: Any) -> Any:
            asked = self.chief and context.replica_id_in_sync_group == 0
            return tf.constant(value if asked else 0.0, tf.float64)

        spread = self.strategy.experimental_distribute_values_from_function(own)
        return float(self.total(spread))

    def wait_for_chief(self) -> None:
        """Return when every process has come here."""
        self.from_chief(0.0)


def open_devices(training: Training, *, batch: int) -> Devices:
    """The devices that a configuration asks for. Call it before anything else is done with TensorFlow.

    Raises:
        ConfigError: ``multi-worker`` without a ``TF_CONFIG`` that names a cluster of workers, or a batch that
            cannot be shared evenly.
    """
    tf = load_tensorflow()
    chief = is_chief(training)
    if training.distribute == "none":
        strategy = tf.distribute.get_strategy()
    elif training.distribute == "mirrored":
        strategy = tf.distribute.MirroredStrategy()
    else:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    devices = Devices(strategy, chief)
    if batch % devices.replicas:
        raise ConfigError(
            f"input.batch: {batch} pictures cannot be shared evenly by {devices.replicas} devices"
        )
    return devices


def is_chief(training: Training) -> bool:
    """Whether this process writes: it is alone, or the first worker of the cluster that ``TF_CONFIG`` names.

    Raises:
        ConfigError: ``multi-worker`` without a ``TF_CONFIG`` that names a cluster of workers.
    """
    if training.distribute != "multi-worker":
        return True
    try:
        content = json.loads(os.environ.get("TF_CONFIG", ""))
        cluster, task = content["cluster"], content["task"]
        kind, index = str(task["type"]), int(task["index"])
        workers = len(cluster["worker"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "training.distribute: multi-worker needs TF_CONFIG, such as "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if set(cluster) - {"worker"} or kind != "worker" or not 0 <= index < workers:
        raise ConfigError("training.distribute: TF_CONFIG must name workers only, and which of them this is")
    return index == 0


def padded(part: Part, batch: int) -> Part:
    """A batch of full size: what is added has no known label, so it counts for nothing.

    All batches have one shape then, which is compiled once and shared evenly by any number of devices.
    """
    missing = batch - len(part[1])

    def full(values: Any) -> NDArray[Any]:
        array = np.asarray(values)
        return (
            np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)]) if missing else array
        )

    inputs, targets, known = part
    return full(inputs), full(targets), full(known)
