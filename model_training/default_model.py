"""Builds the default model at install time, from packages that pip has brought."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model_training.default_head import CARD, Heads, heads_id, load_heads, model_card
from model_training.export import Exported, export, square_squash
from model_training.networks import efficientnet_lite
from model_training.networks.class_odds import class_log_odds
from model_training.networks.efficientnet_lite import LITE2
from model_training.projection import load_projection
from model_training.tag_scores import tag_scores
from model_training.tensorflow_runtime import load_tensorflow
from model_training.vocabulary import Vocabulary, build_vocabulary, hint_classes, with_heads
from model_training.weights import EFFICIENTNET_LITE2, package_state

NAME = "efficientnet-lite2-imagenet1k-photographs"
SERVED_AS = "tagger"
_EARLIER_NAMES = {"efficientnet-lite2-imagenet1k"}
"""Of default models that this one takes the place of."""
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
    return "embedding_id" in _facts(version) and (version / "saved_model.pb").is_file()


def is_current(version: Path) -> bool:
    """Whether a version folder is complete and holds the default model as it would be built today."""
    today = {
        "name": NAME,
        "preprocess_id": square_squash(LITE2.size).id,
        "vocabulary_id": default_vocabulary().id,
        "embedding_id": load_projection().id,
        "heads_id": heads_id(),
    }
    return is_complete(version) and today.items() <= _facts(version).items()


def _facts(version: Path) -> dict[str, Any]:
    """The contents of ``assets.extra/model.json``; nothing where it cannot be read."""
    try:
        facts = json.loads((version / "assets.extra" / "model.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return facts if isinstance(facts, dict) else {}


def default_vocabulary() -> Vocabulary:
    """The tags of the default model: those made of ImageNet's classes, and those with heads."""
    return with_heads(build_vocabulary(), load_heads().shown_from())


def default_export() -> Exported:
    """The default model as built from its weights, folded, not yet written."""
    tf = load_tensorflow()
    network = efficientnet_lite.build(LITE2)
    efficientnet_lite.load_state(LITE2, network, package_state(EFFICIENTNET_LITE2))
    folded = efficientnet_lite.folded(LITE2, network)
    vocabulary = default_vocabulary()
    heads = load_heads().of(tuple(tag.slug for tag in vocabulary.tags if tag.trained))
    hints = hint_classes(build_vocabulary(), heads.labels, efficientnet_lite.CLASSES)
    scores = tag_scores(vocabulary, efficientnet_lite.CLASSES)
    read = _read(folded, heads)

    def answer(images: Any) -> tuple[Any, Any]:
        features, logits, for_heads = read(images)
        probabilities = tf.nn.softmax(logits)
        odds = tf.constant(heads.trust) * class_log_odds(probabilities, tf.constant(hints))
        told = tf.sigmoid(tf.matmul(for_heads, tf.constant(heads.kernel)) + tf.constant(heads.bias) + odds)
        return features, scores(probabilities, told)

    return Exported(
        name=NAME,
        answer=answer,
        preprocess=square_squash(LITE2.size),
        vocabulary=vocabulary,
        projection=load_projection(),
        heads_id=heads_id(),
    )


def _read(network: Any, heads: Heads) -> Callable[[Any], tuple[Any, Any, Any]]:
    """In the graph: pictures → the features, the classes' logits, and what the heads read."""
    from keras import Model  # noqa: PLC0415 - importing Keras takes seconds

    tf = load_tensorflow()
    if not heads.upper:

        def plain(images: Any) -> tuple[Any, Any, Any]:
            features, logits = network(images, training=False)
            return features, logits, features

        return plain
    blocks = sum(name.endswith("_depthwise") for name in heads.upper)
    fork = efficientnet_lite.fork(LITE2, network, blocks)
    whole = Model(network.input, [*network.outputs, fork])
    upper = efficientnet_lite.build_upper(LITE2, blocks, tuple(fork.shape[1:]))
    for name, weights in heads.upper.items():
        upper.get_layer(name).set_weights(list(weights))

    def mixed(images: Any) -> tuple[Any, Any, Any]:
        features, logits, below = whole(images, training=False)
        tuned = tf.reduce_mean(upper(below, training=False), axis=[1, 2])
        return features, logits, features + heads.share * (tuned - features)

    return mixed


def _remove_abandoned(base: Path) -> None:
    """Drop what builds that were killed have left. A younger folder may belong to one that still runs."""
    for work in base.glob(".*-*"):
        number = work.name[1:].partition("-")[0]
        if number.isdecimal() and time.time() - work.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(work, ignore_errors=True)


def _newest(base: Path) -> Path | None:
    """The complete version that is served, the one with the highest number."""
    complete = [path for path in base.glob("*") if path.name.isdecimal() and is_complete(path)]
    return max(complete, key=lambda path: int(path.name), default=None)


def _next(base: Path) -> Path:
    """A version folder with a higher number than all that are there, whole or not."""
    return base / str(
        1 + max((int(path.name) for path in base.glob("*") if path.name.isdecimal()), default=0)
    )


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
    """See to it that ``to/tagger`` has the default model of today, unless another model is served there.

    An empty place gets version 1. A default model of an earlier recipe stays, and the new one becomes the
    version after it: a version never changes, since servers and the catalogue know it by its number. A model
    that somebody trained is not put aside by a default one: where it is the newest, nothing is built.

    The folder appears by one rename when everything is in it, so that a server which watches the
    place never sees half of it, and an interrupted build leaves nothing that is taken for a model.

    Returns:
        The newest version folder.

    Raises:
        BadExportError: what was written does not answer as the network does.
    """
    base = to / SERVED_AS
    newest = _newest(base)
    if newest is not None and is_current(newest):
        console.print(f"[green]✓[/] The default model is there: {newest}")
        return newest
    if newest is not None and _facts(newest).get("name") not in _EARLIER_NAMES | {NAME}:
        console.print(f"[yellow]Nothing built[/]: {newest} is another model than the default one, and newer")
        return newest
    version = base / "1" if newest is None else _next(base)
    base.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(base)
    # A leading dot is no version number, so servers pass it over.
    work = Path(tempfile.mkdtemp(prefix=f".{version.name}-", dir=base))
    try:
        with _step(console, "Loading TensorFlow"):
            load_tensorflow()
        with _step(console, "Reading the weights, building the network, folding batch norm"):
            exported = default_export()
        with _step(console, f"Writing the model with {len(exported.vocabulary.tags)} tags"):
            export(exported, work / "model")
            (work / "model" / "assets.extra" / CARD).write_text(model_card(), encoding="utf-8")
        with _step(console, "Comparing what was written with the network"):
            _check(exported, work / "model")
        if version.exists():  # left incomplete by a crash or by hand
            version.replace(work / "broken")
        (work / "model").replace(version)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    console.print(f"[green]✓[/] The default model is ready: {version}")
    return version
