"""Builds the default model at install time, from packages that pip has brought."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console

from model_training import networks
from model_training.export import Exported, export, square_squash
from model_training.projection import load_projection
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import build_vocabulary
from model_training.weights import efficientnet_lite2_state

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
    load_tensorflow()
    network = networks.efficientnet_lite2()
    networks.load_state(network, efficientnet_lite2_state())
    return Exported(
        name=NAME,
        network=networks.folded(network),
        preprocess=square_squash(networks.SIZE),
        vocabulary=build_vocabulary(),
        classes=networks.CLASSES,
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
    _, logits = exported.network(tf.constant(pixels, tf.float32), training=False)
    expected = tf.nn.softmax(logits).numpy() @ exported.vocabulary.membership(exported.classes)
    difference = float(np.abs(answer["scores"].numpy() - expected).max())
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
