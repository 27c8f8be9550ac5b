"""Losses of a multi-label classifier, each label a question of its own, over the known labels only.

Written in terms of the logit z with p = sigmoid(z): log p = -softplus(-z) and log(1 - p) = -softplus(z)
keep their digits where p is next to 0 or 1. Targets may lie between 0 and 1 (mixup, label smoothing).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.config import Loss as LossConfig
from model_training.tensorflow_runtime import load_tensorflow

Elementwise = Callable[[Any, Any], Any]
"""(targets, logits), both float32 ``[N, L]`` → loss ``[N, L]``."""

# Where a shifted probability would be 0: a power of 0 has no derivative for exponents below 1.
_SMALLEST = 1e-8


def binary_cross_entropy() -> Elementwise:
    """-t·log p - (1 - t)·log(1 - p)."""
    tf = load_tensorflow()
    return lambda targets, logits: targets * tf.nn.softplus(-logits) + (1 - targets) * tf.nn.softplus(logits)


def focal(gamma: float) -> Elementwise:
    """-t·(1 - p)^γ·log p - (1 - t)·p^γ·log(1 - p): what is easy counts less.

    Lin et al. 2017, arXiv:1708.02002, equation 4; their α is what class weights are here. γ = 0 is the
    cross-entropy.
    """
    tf = load_tensorflow()

    def loss(targets: Any, logits: Any) -> Any:
        miss, alarm = tf.nn.softplus(-logits), tf.nn.softplus(logits)  # -log p, -log(1 - p)
        return targets * tf.exp(-gamma * alarm) * miss + (1 - targets) * tf.exp(-gamma * miss) * alarm

    return loss


def asymmetric(gamma_positive: float, gamma_negative: float, clip: float) -> Elementwise:
    """-t·(1 - p)^γ₊·log p - (1 - t)·pₘ^γ₋·log(1 - pₘ) with pₘ = max(p - m, 0).

    Ridnik et al. 2021, arXiv:2009.14119, equations 4 to 7: easy negatives, which nearly all are, count less
    than easy positives, and those below the margin m not at all. With m = 0 and γ₊ = γ₋ it is the focal loss.

    Args:
        gamma_positive: γ₊.
        gamma_negative: γ₋.
        clip: The margin m.
    """
    tf = load_tensorflow()

    def loss(targets: Any, logits: Any) -> Any:
        miss, alarm = tf.nn.softplus(-logits), tf.nn.softplus(logits)
        positive = tf.exp(-gamma_positive * alarm) * miss
        if clip == 0:
            negative = tf.exp(-gamma_negative * miss) * alarm
        else:
            shifted = tf.maximum(tf.sigmoid(logits) - clip, _SMALLEST)
            negative = -tf.math.log1p(-shifted) * shifted**gamma_negative
        return targets * positive + (1 - targets) * negative

    return loss


def elementwise(config: LossConfig) -> Elementwise:
    """The loss that a configuration names, with its label smoothing.

    Smoothing by ε moves targets to t·(1 - ε) + ε/2 (Szegedy et al. 2016, arXiv:1512.00567, two classes).
    """
    if config.kind == "bce":
        loss = binary_cross_entropy()
    elif config.kind == "focal":
        loss = focal(config.gamma)
    else:
        loss = asymmetric(config.gamma_positive, config.gamma_negative, config.clip)
    smoothing = config.label_smoothing
    if not smoothing:
        return loss
    return lambda targets, logits: loss(targets * (1 - smoothing) + smoothing / 2, logits)


def masked_sum(
    loss: Elementwise, class_weights: NDArray[np.float32] | None
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """The sum over the known labels, and how many there are: their quotient is the mean that is minimised.

    They come apart because a batch may be spread over several devices, and the mean is that of the batch.

    Args:
        loss: One value for each label of each picture.
        class_weights: ``[L]``; None: all labels weigh 1.

    Returns:
        A function (targets, known, logits), all ``[N, L]``, → (sum, count), both float32 scalars.
    """
    tf = load_tensorflow()
    weights = 1.0 if class_weights is None else tf.constant(class_weights, tf.float32)

    def summed(targets: Any, known: Any, logits: Any) -> tuple[Any, Any]:
        # tf.where, not the product alone: what is unknown must not matter even where its loss is infinite.
        values = tf.where(known > 0, known * loss(targets, logits) * weights, 0.0)
        return tf.reduce_sum(values), tf.reduce_sum(known)

    return summed
