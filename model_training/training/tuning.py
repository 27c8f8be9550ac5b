"""Tunes copies of the backbone's last blocks for a head that was fitted before, which stays as it is.

What enters them is computed once for a few views of each picture: the picture itself, mirrored, and a part of
it. Half of the features are hidden from the head at each step, and two epochs are the most that it takes
before some thousand pictures are learned by heart. What several seeds have learned may be averaged, weight by
weight, which costs nothing when it answers (Wortsman et al. 2022, arXiv:2203.05482).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Augment, Config, Phase, Tuned
from model_training.datasets.augment import augmented
from model_training.datasets.input import batches, epoch_rows
from model_training.networks.backbones import LITE
from model_training.networks.efficientnet_lite import fork
from model_training.networks.tuned import weigh
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.feature_store import FeatureStore
from model_training.training.regression import Fitted, Values, learning_weights
from model_training.training.steps import build_optimizer, hidden, value_of

_PART = Augment(flip=True, crop=0.35)
_VIEWS = ("as they are", "mirrored", f"in part, at least {_PART.crop:.0%}")
_BATCH = 64
"""Not the configuration's: maps that are kept are the same whoever computed them."""


@dataclass(frozen=True, slots=True)
class Below:
    """What enters the tuned blocks, of all pictures."""

    views: tuple[NDArray[np.float16], ...]
    """``[N, h, w, C]`` each, mapped into memory; the first one is of the pictures as they are."""

    def some(self, rows: NDArray[np.intp], views: NDArray[np.intp]) -> NDArray[np.float32]:
        """One view of each of some pictures, float32 ``[n, h, w, C]``."""
        found = [self.views[view][row] for row, view in zip(rows.tolist(), views.tolist(), strict=True)]
        return np.stack(found).astype(np.float32)

    def plain(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Some pictures as they are."""
        return self.some(rows, np.zeros(len(rows), np.intp))


def maps_below(
    backbone: Any, pixels: NDArray[np.uint8], config: Config, store: FeatureStore, console: Console
) -> Below:
    """Compute what enters the tuned blocks, or read it where it was computed before.

    Args:
        backbone: An EfficientNet-Lite with its weights.
        pixels: Of all pictures, ``[N, H, W, 3]``.
        config: Says how many blocks are tuned.
        store: Keeps 0.03 MB for each of three views of a picture at 260 pixels.
        console: For progress.
    """
    from keras import Model  # noqa: PLC0415 - importing Keras takes seconds

    assert config.training.tuned is not None
    variant, _ = LITE[config.network.backbone]
    below = Model(backbone.input, fork(variant, backbone, config.training.tuned.blocks))
    weights = [value_of(weight) for weight in backbone.weights]
    found = []
    for number, title in enumerate(_VIEWS):
        what = f"none, below {config.training.tuned.blocks} blocks, pictures {title}"
        compute = partial(_seen, below, pixels, number, console)
        found.append(store.features(weights, what, compute))
    return Below(tuple(found))


def _seen(
    below: Any, pixels: NDArray[np.uint8], view: int, console: Console
) -> Iterator[NDArray[np.float16]]:
    """The maps of one view, part by part. What is drawn follows from the number of the batch."""
    tf = load_tensorflow()

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *pixels.shape[1:]], tf.float32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def seen(images: Any, seed: Any) -> Any:
        viewed = (images, tf.reverse(images, [2]), augmented(images, _PART, seed))[view]
        return tf.cast(below(viewed, training=False), tf.float16)

    steps, total = batches(pixels, np.arange(len(pixels)), _BATCH), -(-len(pixels) // _BATCH)
    bar = track(steps, f"Maps below the tuned blocks, pictures {_VIEWS[view]}", total=total, console=console)
    for number, images in enumerate(bar):
        yield seen(images, np.array([view, number], np.int32)).numpy()


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What there is to learn, of all pictures."""

    below: Below
    features: Values
    """The backbone's own, ``[N, 1280]``."""
    odds: Values | None
    """What its classes say, ``[N, L]``; None: the head does not ask."""
    targets: Values
    """``[N, L]``"""
    known: Values
    sources: Sequence[str]


def tune(tuned: Any, fitted: Fitted, lesson: Lesson, rows: NDArray[np.intp], config: Config) -> None:
    """Let copies of the backbone's last blocks learn, and put them to work for the head.

    Each label counts the same, as in the regression, and each source keeps the offset that the regression
    gave it. Every seed starts from the same weights; the same arguments give the same weights.

    Args:
        tuned: What :func:`model_training.networks.tuned.build_tuned` gave, as built.
        fitted: The head, which was fitted to the pictures in ``rows`` and to no others.
        lesson: What is learned.
        rows: Of which pictures.
        config: Says how.
    """
    wanted, regression = config.training.tuned, config.training.regression
    assert wanted is not None
    assert regression is not None
    tf = load_tensorflow()
    tf.config.experimental.enable_op_determinism()
    sources, targets = [lesson.sources[row] for row in rows.tolist()], lesson.targets[rows]
    counts = learning_weights(targets, lesson.known[rows], sources, regression)
    counts *= len(rows) / np.maximum(counts.sum(axis=0), 1.0)
    rest = _without_features(fitted, None if lesson.odds is None else lesson.odds[rows], sources)
    upper, steps = tuned.get_layer("upper"), wanted.epochs * math.ceil(len(rows) / _BATCH)
    first = upper.get_weights()
    found: list[list[NDArray[np.float32]]] = []
    for seed in range(config.training.seed, config.training.seed + wanted.seeds):
        upper.set_weights(first)
        step = _step(upper, fitted.kernel, wanted, steps)
        for maps, part, at in _batches(lesson.below, rows, wanted.epochs, seed):
            step(maps, rest[part], targets[part], counts[part], at)
        found.append(upper.get_weights())
    # Nothing but convolutions: no statistics would have to be taken again for the mean.
    upper.set_weights([np.mean(of_all, axis=0) for of_all in zip(*found, strict=True)])
    weigh(tuned, fitted.kernel, wanted.share)


def _batches(
    below: Below, rows: NDArray[np.intp], epochs: int, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.int32]]]:
    """What each step sees: maps, which of the rows they are of, and a seed."""
    steps = math.ceil(len(rows) / _BATCH)
    for epoch in range(epochs):
        random = np.random.default_rng([seed, epoch, 2])
        order = epoch_rows(np.arange(len(rows)), epoch=epoch, seed=seed, sampling_weights=None)
        # Full batches only, so that there is one shape to compile: what is missing comes from the beginning.
        for number, part in enumerate(np.resize(order, (steps, _BATCH))):
            maps = below.some(rows[part], random.integers(0, len(below.views), _BATCH))
            at = np.random.SeedSequence([seed, epoch, number]).generate_state(2).astype(np.int32)
            yield maps, part, at


def _without_features(fitted: Fitted, odds: Values | None, sources: Sequence[str]) -> Values:
    """What the head's logits are but for the features, ``[n, L]``."""
    rest = np.tile(fitted.bias, (len(sources), 1))
    if odds is not None and fitted.trust is not None:
        rest += fitted.trust * odds
    for name, offset in fitted.offsets.items():
        rest[np.array(sources) == name] += offset
    return rest


def _step(upper: Any, kernel: Values, wanted: Tuned, steps: int) -> Callable[..., Any]:
    """One step of training, compiled: maps, the rest of the logits, targets, counts, a seed → the loss."""
    tf = load_tensorflow()
    variables = upper.trainable_variables
    phase = Phase(epochs=wanted.epochs, learning_rate=wanted.learning_rate, schedule="cosine")
    optimizer = build_optimizer(phase, steps=steps, scale_loss=False)
    head = tf.constant(kernel)

    @tf.function
    def step(maps: Any, rest: Any, targets: Any, counts: Any, seed: Any) -> Any:
        with tf.GradientTape() as tape:
            features = tf.reduce_mean(upper(maps, training=True), axis=[1, 2])
            logits = tf.matmul(hidden(features, wanted.dropout, seed), head) + rest
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses * counts)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return loss

    moving: Callable[..., Any] = step
    return moving


def addition(tuned: Any, lesson: Lesson, rows: NDArray[np.intp]) -> Values:
    """What tuned blocks add to the logits of some pictures, ``[n, L]``.

    Args:
        tuned: After :func:`tune`.
        lesson: Has the pictures.
        rows: Which of them.
    """
    tf = load_tensorflow()
    answering = tf.function(lambda below, of: tuned([below, of], training=False), reduce_retracing=True)
    parts = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
    found = [answering(lesson.below.plain(part), lesson.features[part]).numpy() for part in parts]
    return np.concatenate(found)
