"""Builds the default model at install time, from packages that pip has brought."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model_training.export import Exported, export, square_squash
from model_training.networks import efficientnet_lite
from model_training.networks.efficientnet_lite import LITE2
from model_training.projection import load_projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import build_vocabulary
from model_training.weights import EFFICIENTNET_LITE2, package_state

NAME = "efficientnet-lite2-imagenet1k"
SERVED_AS = "tagger"
VERSION = 1
_ABANDONED_AFTER_S = 3600


class BadExportError(Exception):
    """What was written does not answer as the network does."""


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    start = time.monotonic()
    with console.status(f"{title} …"):
        yield
    console.print(f"[green]✓[/] {title} [dim]({time.monotonic() - start:.1f} s)[/]")


def is_complete(version: Path) -> bool:
    """Whether a version folder is there with everything in it."""
    try:
        facts = json.loads((version / "assets.extra" / "model.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    return "embedding_id" in facts and (version / "saved_model.pb").is_file()


def default_export() -> Exported:
    """The default model as built from its weights, folded, not yet written."""
    tf = load_tensorflow()
    network = efficientnet_lite.build(LITE2)
    efficientnet_lite.load_state(LITE2, network, package_state(EFFICIENTNET_LITE2))
    folded = efficientnet_lite.folded(LITE2, network)
    vocabulary = build_vocabulary()
    membership = vocabulary.membership(efficientnet_lite.CLASSES)

    def answer(images: Any) -> tuple[Any, Any]:
        features, logits = folded(images, training=False)
        # Sums of many rounded numbers may pass 1 by a few units in the last place.
        return features, tf.minimum(tf.matmul(tf.nn.softmax(logits), tf.constant(membership)), 1.0)

    return Exported(
        name=NAME,
        answer=answer,
        preprocess=square_squash(LITE2.size),
        vocabulary=vocabulary,
        projection=load_projection(),
    )


def _remove_abandoned(base: Path) -> None:
    """Drop what builds that were killed have left. A younger folder may belong to one that still runs."""
    for work in base.glob(f".{VERSION}-*"):
        if time.time() - work.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(work, ignore_errors=True)


def _check(exported: Exported, folder: Path) -> None:
    """Load what was written and compare it with the network on noise: a broken disk or library shows here."""
    tf = load_tensorflow()
    loaded = tf.saved_model.load(str(folder))
    size = exported.preprocess
    pixels = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), dtype=np.uint8)
    answer = loaded.signatures["serving_default"](images=tf.constant(pixels))
    _, expected = exported.answer(tf.constant(pixels, tf.float32))
    difference = float(np.abs(answer["scores"].numpy() - expected.numpy()).max())
    if not difference < 1e-4:
        raise BadExportError(f"the exported model differs from the network by {difference}")


def build_default(to: Path, *, console: Console) -> Path:
    """Build ``to/tagger/1``, unless it is there already.

    The folder appears by one rename when everything is in it, so that a server which watches the
    place never sees half of it, and an interrupted build leaves nothing that is taken for a model.

    Returns:
        The version folder.

    Raises:
        BadExportError: what was written does not answer as the network does.
    """
    version = to / SERVED_AS / str(VERSION)
    if is_complete(version):
        console.print(f"[green]✓[/] The default model is there: {version}")
        return version
    version.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(version.parent)
    # A leading dot is no version number, so servers pass it over.
    work = Path(tempfile.mkdtemp(prefix=f".{VERSION}-", dir=version.parent))
    try:
        with _step(console, "Loading TensorFlow"):
            load_tensorflow()
        with _step(console, "Reading the weights, building the network, folding batch norm"):
            exported = default_export()
        with _step(console, f"Writing the model with {len(exported.vocabulary.tags)} tags"):
            export(exported, work / "model")
        with _step(console, "Comparing what was written with the network"):
            _check(exported, work / "model")
        if version.exists():  # left incomplete by a crash or by hand
            version.replace(work / "broken")
        (work / "model").replace(version)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    console.print(f"[green]✓[/] The default model is ready: {version}")
    return version
