"""The loop of training: two phases, the best epoch kept, a checkpoint after each epoch.

Written out and not left to ``keras.Model.fit``, so that a run which was killed goes on bit for bit as if it
had not been: whatever an epoch depends on is either in the checkpoint or a function of seed and position.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from model_training.config import Config, Phase
from model_training.networks.network import Network
from model_training.training.checkpoints import (
    Arrays,
    Checkpoint,
    CheckpointError,
    Progress,
    load_checkpoint,
    save_checkpoint,
)
from model_training.training.devices import Devices, padded
from model_training.training.examples import (
    Examples,
    Features,
    Learnable,
    Pictures,
    computed_features,
    features_of,
    is_random,
)
from model_training.training.in_one_go import fit_in_one_go
from model_training.training.losses import elementwise, masked_sum
from model_training.training.steps import Answering, Step, build_optimizer, compiled, value_of
from model_training.training.validation import mean_average_precision

PHASES = ("head", "fine-tune")


class TrainingError(Exception):
    """Training cannot go on. The text says what to change."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came of one."""

    phase: str
    loss: float
    measured: float | None
    learning_rate: float | None
    """None: nothing moved by steps."""
    start: float
    """``time.monotonic()``"""


@dataclass(frozen=True, slots=True)
class Loop:
    """What all epochs of a run have in common."""

    config: Config
    network: Network
    front: Callable[[Any], Any]
    """``network.front`` in inference mode, compiled: tracing a backbone takes seconds."""
    learnable: Learnable
    devices: Devices
    checkpoints: Path
    """Folder of the checkpoint. Only the chief writes; every process reads."""
    fingerprint: str
    """Of the configuration and the data."""
    report: Callable[[Progress], None]
    """Called by the chief after each epoch, before its checkpoint."""
    console: Console

    def run(self, *, resume: bool) -> Progress:
        """Train both phases; the network then has the weights of the best epoch.

        Args:
            resume: Go on from the checkpoint, if there is one.

        Raises:
            CheckpointError: it is damaged or belongs to another run.
            TrainingError: the loss is not a number any more.
        """
        state = self._resumed() if resume else None
        if state is None:
            weights = self._weights()
            state = Checkpoint(self.fingerprint, Progress(), weights, (), weights)
        self._agree(state.progress)
        phases = self.config.training.head, self.config.training.fine_tune
        for number in range(state.progress.phase, len(PHASES)):
            state = self._phase(state, phases[number])
            self._assign(state.best)
            following = replace(state.progress, phase=number + 1, phase_epochs=0, stale=0)
            state = replace(state, progress=following, weights=state.best, optimizer=())
        return state.progress

    def _resumed(self) -> Checkpoint | None:
        state = load_checkpoint(self.checkpoints)
        if state is None:
            return None
        if state.fingerprint != self.fingerprint:
            raise CheckpointError(
                f"the run in {self.checkpoints.parent} was started with another configuration or other "
                "pictures: go on with the old ones, or train into another folder"
            )
        self._assign(state.weights)
        self.console.print(f"Going on after epoch {state.progress.epochs}")
        return state

    def _agree(self, progress: Progress) -> None:
        """Workers that start from different epochs would wait for each other for ever."""
        if self.devices.from_chief(float(progress.epochs)) != progress.epochs:
            raise CheckpointError(
                f"this worker finds {progress.epochs} epochs in {self.checkpoints.parent} and the first one "
                "another number: let all of them see the same folder"
            )

    def _weights(self) -> Arrays:
        return tuple(value_of(weight) for weight in self.network.whole.weights)

    def _assign(self, values: Arrays) -> None:
        for weight, value in zip(self.network.whole.weights, values, strict=True):
            weight.assign(value)

    def _phase(self, state: Checkpoint, phase: Phase) -> Checkpoint:
        """Train until the epochs of a phase are over or none has been better for its patience."""
        name = PHASES[state.progress.phase]
        if not self._goes_on(state.progress, phase):
            return state
        if name == "head" and self.config.training.regression:
            return self._fitted(state)
        examples, answering = self._opened(name)
        step = self._step(name, phase, answering)
        if state.optimizer:
            step.set_state(state.optimizer)
        validate = self._validation(examples, answering)
        while self._goes_on(state.progress, phase):
            state = self._epoch(state, name, examples, step, validate)
        return state

    def _fitted(self, state: Checkpoint) -> Checkpoint:
        """The head fitted in one go, which counts as one epoch."""
        start, of, features = time.monotonic(), self.learnable, self._features()
        loss = fit_in_one_go(self.network, of, self.config, features, self.console)
        if self.network.tuned is None:
            measured = self._validation(features, Answering(None, self.network.head))()
        else:  # they look at more than the features
            measured = self._validation(Pictures(of, self.config), Answering(None, self._logits))()
        return self._kept(state, Epoch("head", loss, measured, None, start), ())

    def _logits(self, images: Any, *, training: bool) -> Any:
        return self.network.whole(images, training=training)[1]

    def _goes_on(self, progress: Progress, phase: Phase) -> bool:
        if self.config.training.regression and PHASES[progress.phase] == "head":
            return progress.phase_epochs == 0
        return progress.phase_epochs < phase.epochs and progress.stale < phase.patience

    def _opened(self, name: str) -> tuple[Examples, Answering]:
        """The examples of a phase, and what is left to compute of them."""
        network, config = self.network, self.config
        if name == "head" and not is_random(config.input.augment):
            return self._features(), Answering(None, network.head, config.network.dropout)
        return Pictures(self.learnable, config), Answering(
            network.front, network.head, config.network.dropout
        )

    def _features(self) -> Features:
        store, of, config = self.learnable.store, self.learnable, self.config
        if store is not None and len(self.network.front.output_shape) == 2:  # maps take too much room
            values = store.features(
                [value_of(weight) for weight in self.network.backbone.weights],
                config.training.mixed_precision,
                partial(features_of, self.front, of.pixels, config.input.batch, self.console),
            )
            return Features(of, config, values, np.arange(len(of.pixels)))
        return computed_features(
            self.learnable,
            self.config,
            self.front,
            folder=self.checkpoints if self.devices.chief else None,
            console=self.console,
        )

    def _step(self, name: str, phase: Phase, answering: Answering) -> Step:
        network, config = self.network, self.config
        variables = list(network.head.trainable_variables)
        if name == "fine-tune":
            for layer in network.upper_layers(config.training.fine_tune_layers):
                variables += layer.trainable_variables
        steps = phase.epochs * math.ceil(len(self.learnable.training) / config.input.batch)
        with self.devices.strategy.scope():
            optimizer = build_optimizer(
                phase, steps=steps, scale_loss=config.training.mixed_precision == "float16"
            )
            optimizer.build(variables)
        loss = masked_sum(elementwise(config.loss), self.learnable.class_weights)
        return Step(answering, variables, optimizer, loss, self.devices)

    def _validation(self, examples: Examples, answering: Answering) -> Callable[[], float | None]:
        rows = self.learnable.validation
        taken = self.network.whole if isinstance(examples, Pictures) else self.network.head
        logits = compiled(answering.surely, tuple(taken.input_shape[1:]))

        def measured() -> float | None:
            if not len(rows):
                return None
            found = math.nan
            if self.devices.chief:
                answers = np.concatenate([logits(inputs).numpy() for inputs in examples.validation()])
                of = self.learnable
                found = mean_average_precision(of.labels, of.targets[rows], of.known[rows], answers)
            # One process decides for all: the others might round another way, and stop another epoch.
            found = self.devices.from_chief(found)
            return None if math.isnan(found) else found

        return measured

    def _epoch(
        self,
        state: Checkpoint,
        name: str,
        examples: Examples,
        step: Step,
        validate: Callable[[], float | None],
    ) -> Checkpoint:
        number, start = state.progress.epochs, time.monotonic()
        rate = step.learning_rate()
        loss = self._learn(examples, step, number, name)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss of epoch {number + 1} is {loss}: a lower learning rate or a milder loss may help"
            )
        return self._kept(state, Epoch(name, loss, validate(), rate, start), step.state())

    def _kept(self, state: Checkpoint, epoch: Epoch, optimizer: Arrays) -> Checkpoint:
        """Report an epoch and write its checkpoint."""
        number, measured = state.progress.epochs + 1, epoch.measured
        entry = {
            "epoch": number,
            "phase": epoch.phase,
            "loss": epoch.loss,
            "validation_map": measured,
            "learning_rate": epoch.learning_rate,
            "seconds": round(time.monotonic() - epoch.start, 3),
        }
        progress = state.progress.after(entry, measured)
        weights = self._weights()
        best = weights if progress.is_best else state.best
        state = Checkpoint(self.fingerprint, progress, weights, optimizer, best)
        if self.devices.chief:
            self.report(progress)
            save_checkpoint(state, self.checkpoints)
        shown = "" if measured is None else f", validation mAP {measured:.4f}"
        mark = " [green]best[/]" if progress.is_best and measured is not None else ""
        self.console.print(f"epoch {number} ({epoch.phase}): loss {epoch.loss:.4f}{shown}{mark}")
        return state

    def _learn(self, examples: Examples, step: Step, number: int, name: str) -> float:
        """One epoch. Returns the mean loss over the known labels."""
        total = count = 0.0
        batch = self.config.input.batch
        with self._bar(f"epoch {number + 1} ({name})") as advance:
            for position, part in enumerate(examples.epoch(number)):
                seed = np.random.SeedSequence([self.config.training.seed, number, position])
                summed, known = step(self.devices.spread(padded(part, batch), seed))
                total += float(summed)
                count += float(known)
                advance()
        return total / max(count, 1.0)

    @contextmanager
    def _bar(self, title: str) -> Iterator[Callable[[], None]]:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        quiet = not self.console.is_terminal  # in a log, a bar is an empty line
        with Bars(*columns, console=self.console, transient=True, disable=quiet) as bars:
            steps = math.ceil(len(self.learnable.training) / self.config.input.batch)
            task = bars.add_task(title, total=steps)
            yield lambda: bars.advance(task)
