"""Turns a run that was evaluated into a version that can be served."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model_training.default_model import BadExportError
from model_training.evaluation.calibration import Calibration, load_calibration
from model_training.export import Exported, export, square_squash
from model_training.networks.network import folded, load_network
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.card import write_card
from model_training.training.run_folder import (
    CALIBRATION,
    CARD,
    NETWORK,
    PROJECTION,
    RunError,
    RunFacts,
    read_projection,
    read_run,
)
from model_training.vocabulary import Tag, Vocabulary

_TOLERANCE = 1e-4


def export_run(run: Path, to: Path, console: Console, *, version: int | None = None) -> Path:
    """Write ``to/<registered_model>/<version>``: the network, its calibration and its words in one file.

    The folder appears by one rename when everything is in it, so that a server which watches the place never
    sees half of it.

    Args:
        run: Folder of a run that was trained and evaluated.
        to: Folder of models.
        console: For progress.
        version: Its number; None: one more than the highest that is there.

    Returns:
        The version folder.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: the run was not trained to its end or not calibrated, or the version is there already.
        BadExportError: what was written does not answer as the network does.
    """
    facts = check_run(run)
    folder = version_folder(facts, to, version)
    calibration = load_calibration(run / CALIBRATION)
    with console.status("Reading the network, folding batch norm"):
        network = folded(load_network(run / NETWORK), facts.config.network.backbone)
    exported = Exported(
        name=facts.config.name,
        answer=calibrated(network, calibration),
        preprocess=square_squash(facts.config.input.size),
        vocabulary=_vocabulary(facts, calibration),
        projection=read_projection(run, facts.config),
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A leading dot is no version number, so servers pass it over.
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with console.status(f"Writing the model with {len(facts.labels)} tags"):
            export(exported, work / "model")
            shutil.copyfile(write_card(run), work / "model" / "assets.extra" / CARD)
        with console.status("Comparing what was written with the network"):
            _compare(exported, work / "model")
        try:
            (work / "model").rename(folder)
        except OSError as error:
            raise RunError(f"{folder} has appeared meanwhile") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    console.print(f"[green]✓[/] {folder}: {len(facts.labels)} tags")
    return folder


def check_run(run: Path) -> RunFacts:
    """What a run says of itself, if it can be exported.

    Raises:
        ConfigError: its configuration cannot be read.
        RunError: it was not trained to its end, or not calibrated.
    """
    facts = read_run(run)
    for name in (NETWORK, PROJECTION):
        if not (run / name).is_file():
            raise RunError(f"{run} has no {name} yet: resume its training")
    if not (run / CALIBRATION).is_file():
        raise RunError(
            f"{run} is not calibrated: its scores would be no probabilities, and its tags would have no "
            "thresholds. Evaluate it first"
        )
    calibrated_labels = load_calibration(run / CALIBRATION).labels
    if tuple(calibrated_labels) != facts.labels:
        raise RunError(f"{run / CALIBRATION} is of other labels than the run: evaluate it again")
    return facts


def version_folder(facts: RunFacts, to: Path, version: int | None) -> Path:
    """Where an export goes.

    Raises:
        RunError: that version is there already.
    """
    base = to / facts.config.tracking.registered_model
    if version is None:
        there = [int(path.name) for path in base.glob("*") if path.name.isdecimal()]
        return base / str(max(there, default=0) + 1)
    if (base / str(version)).exists():
        raise RunError(f"{base / str(version)} is there already: versions never change, name another number")
    return base / str(version)


def calibrated(network: Callable[..., Any], calibration: Calibration) -> Callable[[Any], tuple[Any, Any]]:
    """The network with probabilities for answers.

    Args:
        network: Pictures float32 ``[N, H, W, 3]`` → (features ``[N, F]``, logits ``[N, L]``).
        calibration: Of its logits.

    Returns:
        A function: pictures → (features ``[N, F]``, scores ``[N, L]``), where a score is
        sigmoid(scale · logit + offset).
    """
    tf = load_tensorflow()
    labels = calibration.labels.values()
    scale = tf.constant([label.scale for label in labels], tf.float32)
    offset = tf.constant([label.offset for label in labels], tf.float32)

    def answer(images: Any) -> tuple[Any, Any]:
        features, logits = network(images, training=False)
        return features, tf.sigmoid(scale * logits + offset)

    return answer


def _vocabulary(facts: RunFacts, calibration: Calibration) -> Vocabulary:
    """The labels as tags: all leaves, each with the threshold that its calibration gives."""
    tags = (
        Tag(
            slug=label,
            name=facts.names[label],
            kind="leaf",
            classes=frozenset({column}),
            parents=(),
            synonyms=(),
            threshold=calibration.labels[label].threshold,
        )
        for column, label in enumerate(facts.labels)
    )
    return Vocabulary(facts.config.name, tuple(tags))


def _compare(exported: Exported, folder: Path) -> None:
    """Load what was written and compare it with the network on noise: a broken disk or library shows here."""
    tf = load_tensorflow()
    size = exported.preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), dtype=np.uint8)
    written = tf.saved_model.load(str(folder)).signatures["serving_default"](images=tf.constant(pixels))
    _, scores = exported.answer(tf.constant(pixels, tf.float32))
    difference = float(np.abs(written["scores"].numpy() - scores.numpy()).max())
    if not difference < _TOLERANCE:
        raise BadExportError(f"the exported model differs from the network by {difference}")
