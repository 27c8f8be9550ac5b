"""Fits a linear head in one go: for each label a logistic regression with a quadratic penalty.

All labels are one problem for L-BFGS (Byrd, Lu, Nocedal and Zhu 1995; SciPy's L-BFGS-B), whose only solution
depends on no seed, no batch and no schedule. Features are taken in units of their own spread, so that the
penalty means the same for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from model_training.config import Regression
from model_training.networks.class_odds import FIRST_TRUST

Values = NDArray[np.float32]
_SMALLEST_SPREAD = 1e-3
_TRUST_PENALTY = 0.01
"""Of the distance from the first trust: what an exact label with few pictures can do without."""
_FLAT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Logits of a label = features · kernel + bias + trust · log-odds."""

    kernel: Values
    """``[features, labels]``"""
    bias: Values
    """``[labels]``"""
    trust: Values | None
    """``[labels]``; None: there are no log-odds."""
    offsets: dict[str, Values]
    """Of each source with an offset of its own, ``[labels]``: of no use to a picture of another source."""
    loss: float
    """What was minimised, of a label: the mean cross-entropy and the penalty."""


def fit_regression(  # noqa: PLR0913 - each is a thing of its own
    features: Values,
    targets: Values,
    known: Values,
    config: Regression,
    *,
    odds: Values | None = None,
    sources: Sequence[str] = (),
) -> Fitted:
    """Fit all labels.

    Args:
        features: ``[N, F]``
        targets: 0…1, ``[N, L]``
        known: How much each counts, 0 where nobody said, ``[N, L]``.
        config: Penalty and iterations.
        odds: Log-odds that are trusted by a factor of each label, ``[N, L]``; the penalty on
            that factor is on its distance from ``FIRST_TRUST``.
        sources: Of the pictures, ``[N]``; needed where the configuration gives them offsets.

    Returns:
        Weights, as small as the penalty makes them; of a label of which nothing is known 0.
    """
    mean = features.mean(axis=0)
    spread = np.maximum(features.std(axis=0), _SMALLEST_SPREAD)
    x: Values = np.ascontiguousarray((features - mean) / spread, np.float32)
    count, labels = x.shape[1], targets.shape[1]
    share: Values = known / np.maximum(known.sum(axis=0), 1.0)

    of_source = _indicators(sources) if config.source_penalty else np.zeros((len(x), 0), np.float32)
    trusts = int(odds is not None)

    def taken_apart(w: NDArray[np.float64]) -> tuple[Values, Values, Values, Values]:
        rows = w.reshape(-1, labels).astype(np.float32)
        kernel, bias, trust, offsets = np.split(rows, [count, count + 1, count + 1 + trusts])
        return kernel, bias[0], trust, offsets

    def value(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        kernel, bias, trust, offsets = taken_apart(w)
        logits = x @ kernel + bias + of_source @ offsets
        if odds is not None:
            logits += trust * odds
        exponent = np.exp(-np.abs(logits))
        losses = np.maximum(logits, 0) - logits * targets + np.log1p(exponent)
        error = (np.where(logits >= 0, 1, exponent) / (1 + exponent) - targets) * share
        off = trust - FIRST_TRUST
        on_offsets = config.source_penalty or 0.0
        total = (losses * share).sum(dtype=np.float64)
        for penalty, weights in ((config.penalty, kernel), (_TRUST_PENALTY, off), (on_offsets, offsets)):
            total += 0.5 * penalty * np.square(weights, dtype=np.float64).sum()
        slopes = [x.T @ error + config.penalty * kernel, error.sum(axis=0)[None]]
        if odds is not None:
            slopes.append((error * odds).sum(axis=0)[None] + _TRUST_PENALTY * off)
        slopes.append(of_source.T @ error + on_offsets * offsets)
        return float(total), np.concatenate(slopes).astype(np.float64).ravel()

    first = np.zeros((count + 1 + trusts + of_source.shape[1], labels))
    first[count + 1 : count + 1 + trusts] = FIRST_TRUST
    found: Any = minimize(
        value,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": config.iterations, "maxfun": 2 * config.iterations, "gtol": _FLAT},
    )
    kernel, bias, trust, offsets = taken_apart(found.x)
    kernel = kernel / spread[:, None]
    return Fitted(
        kernel,
        bias - mean @ kernel,
        trust[0] if trusts else None,
        dict(zip(sorted(set(sources)), offsets, strict=True)) if config.source_penalty else {},
        float(found.fun) / labels,
    )


def _indicators(sources: Sequence[str]) -> Values:
    """Which source each picture is of, 0 or 1, ``[N, sources]``."""
    names = np.array(sources)
    return np.stack([names == name for name in sorted(set(sources))], axis=1).astype(np.float32)


def learning_weights(targets: Values, known: Values, sources: Sequence[str], config: Regression) -> Values:
    """How much each label of each picture counts, ``[N, L]``: see ``foreign_negatives``.

    Args:
        targets: 0 or 1, ``[N, L]``.
        known: 0 where nobody said, ``[N, L]``.
        sources: Of the pictures, ``[N]``.
        config: Says how much a foreign negative counts.
    """
    weights = known.copy()
    names = np.array(sources)
    for name in sorted(set(sources)):
        rows = names == name
        foreign = ~((targets * known)[rows] > 0).any(axis=0)
        weights[np.ix_(rows, foreign)] *= config.foreign_negatives
    return weights


def log_odds(head: Any, features: Values) -> Values | None:
    """What the classes say of the labels, ``[N, L]``; None: the head knows of no classes."""
    layer = next((layer for layer in head.layers if layer.name == "class_odds"), None)
    return None if layer is None else np.asarray(layer.log_odds(features), np.float32)


def fit_head(  # noqa: PLR0913 - each is a thing of its own
    head: Any, features: Values, targets: Values, known: Values, *, sources: Sequence[str], config: Regression
) -> Fitted:
    """Give a head the weights that :func:`fit_regression` finds."""
    weights = learning_weights(targets, known, sources, config)
    odds = log_odds(head, features)
    fitted = fit_regression(features, targets, weights, config, odds=odds, sources=sources)
    head.get_layer("logits").set_weights([fitted.kernel, fitted.bias])
    if fitted.trust is not None:
        head.get_layer("class_odds").trust.assign(fitted.trust)
    return fitted
