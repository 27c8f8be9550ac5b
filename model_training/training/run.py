"""Trains a network on prepared pictures and writes the folder of the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Config
from model_training.datasets.input import batches
from model_training.datasets.prepared import Prepared
from model_training.datasets.weights import class_weights, sampling_weights
from model_training.export import square_squash
from model_training.networks.backbones import LITE
from model_training.networks.efficientnet_lite import LITE2
from model_training.networks.network import Network, build_network
from model_training.projection import DIMENSIONS, Projection, load_projection
from model_training.projection.fit import fit
from model_training.tensorflow_runtime import load_tensorflow
from model_training.tracking import EPOCH_METRIC, Tracker, parameters
from model_training.training.card import write_card
from model_training.training.checkpoints import Progress
from model_training.training.checks import check
from model_training.training.devices import Devices, open_devices
from model_training.training.examples import Learnable
from model_training.training.feature_store import feature_store
from model_training.training.loop import Loop
from model_training.training.run_folder import (
    CARD,
    CHECKPOINTS,
    CONFIG,
    DATA,
    HISTORY,
    LABELS,
    NETWORK,
    fingerprint,
    git_commit,
    open_run,
    save_projection,
    write_json,
)
from model_training.training.steps import compiled, value_of

_MOST_FOR_PROJECTION = 5000


@dataclass(frozen=True, slots=True)
class Trained:
    """How a training ended. ``best``: the validation mAP of the best epoch; None: nothing to measure with."""

    folder: Path
    epochs: int
    best_epoch: int
    best: float | None


def train(  # noqa: PLR0913 - each is a thing of its own
    config: Config, prepared: Prepared, to: Path, tracker: Tracker, console: Console, *, resume: bool = False
) -> Trained:
    """Train in two phases and keep the best epoch.

    The same configuration and pictures give the same weights, bit for bit, on the same machine; a run that
    was interrupted and resumed gives those of one that was not. With ``training.distribute: multi-worker``
    each worker calls this with the same arguments, and only the first one writes.

    Args:
        config: All of it.
        prepared: The pictures.
        to: Folder of the run; new, or one to resume.
        tracker: Is told the parameters, and the measures of each epoch.
        console: For progress.
        resume: Go on after the last epoch that is in ``to``; if there is none, start.

    Raises:
        ConfigError: the configuration cannot be followed, or ``to`` holds a run that is not to be resumed.
        DataError: the pictures cannot be read.
        WeightsError: the backbone's weights are not there or do not fit.
        CheckpointError: what is in ``to`` is damaged or belongs to other pictures or another configuration.
        TrainingError: the loss became infinite or no number.
    """
    check(config, prepared)
    devices = _prepared_tensorflow(config)
    if devices.chief:
        open_run(to, config, prepared, resume=resume)
        tracker.params(parameters(config))
        tracker.tags({"data_hash": prepared.data_hash, "git_commit": git_commit() or "unknown"})
    else:
        console = Console(quiet=True)
    learnable = _learnable(config, prepared, devices, console)
    with devices.strategy.scope():
        network = _network(config, learnable.labels)
    if config.network.weights == "random":
        console.print(
            f"[yellow]The weights of {config.network.backbone} are random: it has seen nothing yet[/]"
        )

    def report(progress: Progress) -> None:
        write_json(to / HISTORY, list(progress.history))
        tracker.metrics(_measures(progress), step=progress.epochs)

    loop = Loop(
        config=config,
        network=network,
        front=compiled(lambda images: network.front(images, training=False), network.whole.input_shape[1:]),
        learnable=learnable,
        devices=devices,
        checkpoints=to / CHECKPOINTS,
        fingerprint=fingerprint(config, prepared),
        report=report,
        console=console,
    )
    progress = loop.run(resume=resume)
    if devices.chief:
        _write(loop, progress, to, console)
        for name in (CONFIG, LABELS, DATA, HISTORY, CARD):
            tracker.artifact(to / name)
    devices.wait_for_chief()
    return Trained(to, progress.epochs, progress.best_epoch, progress.best)


def _prepared_tensorflow(config: Config) -> Devices:
    """TensorFlow with everything decided that must be decided before its first operation."""
    tf = load_tensorflow()
    from keras import utils  # noqa: PLC0415 - importing Keras takes seconds

    tf.config.experimental.enable_op_determinism()
    utils.set_random_seed(config.training.seed)  # draws the head's first weights
    return open_devices(config.training, batch=config.input.batch)


def _network(config: Config, labels: tuple[str, ...], *, answering: bool = False) -> Network:
    """The network as it learns, or ``answering``: as it is kept, in float32."""
    precision = "none" if answering else config.training.mixed_precision
    tuned = config.training.tuned
    return build_network(
        config.network,
        size=config.input.size,
        labels=labels,
        precision=precision,
        tuned_blocks=tuned.blocks if tuned else 0,
    )


def _learnable(config: Config, prepared: Prepared, devices: Devices, console: Console) -> Learnable:
    # The chief fills the cache of pixels alone; the others find it full.
    spec = square_squash(config.input.size)
    if not devices.chief:
        devices.wait_for_chief()
    pixels = prepared.pixels(spec, console)
    if devices.chief:
        devices.wait_for_chief()
    targets, known = prepared.targets()
    rows = prepared.rows("train")
    balanced, weighted = config.input.sampling == "balanced", config.loss.class_weights != "none"
    return Learnable(
        labels=tuple(prepared.labels),
        pixels=pixels,
        targets=targets,
        known=known,
        training=rows,
        validation=prepared.rows("validation"),
        sampling_weights=sampling_weights(targets[rows], known[rows]) if balanced else None,
        class_weights=class_weights(targets[rows], known[rows], config.loss.class_weights)
        if weighted
        else None,
        sources=tuple(example.source for example in prepared.examples),
        # Several processes would write it at once.
        store=feature_store(prepared.folder, [example.sha256 for example in prepared.examples], spec.id)
        if config.training.distribute == "none"
        else None,
    )


def _measures(progress: Progress) -> dict[str, float]:
    entry = progress.history[-1]
    names = {"loss": "loss", "learning_rate": "learning_rate", "validation_map": EPOCH_METRIC}
    return {name: entry[key] for key, name in names.items() if entry[key] is not None}


def _write(loop: Loop, progress: Progress, to: Path, console: Console) -> None:
    """The network, its projection and its card."""
    config, whole = loop.config, loop.network.whole
    if config.training.mixed_precision != "none":
        kept = _network(config, loop.learnable.labels, answering=True).whole
        for weight, trained in zip(kept.weights, whole.weights, strict=True):
            weight.assign(value_of(trained))
        whole = kept
    new = to / f".new-{NETWORK}"
    whole.save(new)
    new.replace(to / NETWORK)
    shipped = _shipped_projection_fits(config, progress)
    save_projection(load_projection() if shipped else _fitted_projection(loop, console), to)
    write_card(to)
    shown = "" if progress.best is None else f", validation mAP {progress.best:.4f}"
    console.print(f"[green]✓[/] {to}: the network of epoch {progress.best_epoch}{shown}")


def _shipped_projection_fits(config: Config, progress: Progress) -> bool:
    """Whether the features are those that the shipped projection was fitted on."""
    best = next((entry for entry in progress.history if entry["epoch"] == progress.best_epoch), None)
    fine_tuned = best is not None and best["phase"] != "head"
    network = config.network
    original = network.backbone == LITE2.name and network.weights == "package"
    return original and config.input.size == LITE2.size and not fine_tuned


def _fitted_projection(loop: Loop, console: Console) -> Projection:
    """The principal components of the training pictures' features, as many as an embedding has."""
    config, rows = loop.config, loop.learnable.training
    if len(rows) > _MOST_FOR_PROJECTION:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_FOR_PROJECTION).astype(np.intp)]
    steps = track(
        batches(loop.learnable.pixels, rows, config.input.batch),
        "Features for the projection",
        total=-(-len(rows) // config.input.batch),
        console=console,
    )
    found_in_front = [loop.front(images).numpy() for images in steps]
    # Where the head takes a map, the features are its mean.
    pooled = [part.reshape(len(part), -1, part.shape[-1]).mean(axis=1) for part in found_in_front]
    features: NDArray[np.float32] = np.concatenate(pooled)
    found = fit(features, min(DIMENSIONS, features.shape[1]))
    missing = DIMENSIONS - found.components.shape[1]
    # A catalogue's embeddings all have one length; directions that the features lack stay 0.
    components = np.pad(found.components, ((0, 0), (0, missing)))
    return Projection(found.mean, components, space=config.network.backbone)


def plan(config: Config, prepared: Prepared) -> list[str]:
    """What :func:`train` would do, in sentences; nothing is loaded or written.

    Raises:
        ConfigError: it could not be done.
    """
    check(config, prepared)
    network, training, count = config.network, config.training, len(prepared.rows("train"))
    sources = {"package": "of its package", "random": "RANDOM: it has seen nothing yet"}
    weights = sources.get(str(network.weights), f"of {network.weights}")
    if network.weights == "package" and network.backbone in LITE:
        weights = f"of {LITE[network.backbone][1].name}"
    choosing, size = len(prepared.rows("validation")), config.input.size
    lines = [
        f"{len(prepared.labels)} labels; {count} pictures to learn from, {choosing} to choose the epoch by",
        f"backbone {network.backbone} at {size} px with weights {weights}",
        f"head {network.head}, loss {config.loss.kind}",
    ]
    if training.regression:
        lines.append(f"the head fitted in one go, penalty {training.regression.penalty:g}")
    if training.tuned:
        epochs, seeds = training.tuned.epochs, training.tuned.seeds
        mean = f", the mean of {seeds} seeds" if seeds > 1 else ""
        lines.append(f"copies of the last {training.tuned.blocks} blocks tuned for {epochs} epochs{mean}")
    steps = -(-count // config.input.batch)
    for what, phase in (("the head", training.head), ("fine-tuning", training.fine_tune)):
        if phase.epochs and not (training.regression and phase is training.head):
            lines.append(f"{what}: up to {phase.epochs} epochs of {steps} steps, at {phase.learning_rate:g}")
    return lines
