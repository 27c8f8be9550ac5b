"""What rare labels weigh: in the loss by label, in the sampling by picture."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def class_weights(
    targets: NDArray[np.float32],
    known: NDArray[np.float32],
    kind: Literal["none", "inverse", "effective"],
) -> NDArray[np.float32]:
    """Weight of each label in the loss, ``[labels]``, 1 on average.

    ``inverse``: 1 / n for n positives. ``effective``: (1 - β) / (1 - βⁿ), where (1 - βⁿ) / (1 - β) is the
    effective number of n samples that overlap (Cui et al. 2019, arXiv:1901.05555), with β = (N - 1) / N for
    N pictures of which something is known. A label without a positive weighs as if it had one.

    Args:
        targets: ``[examples, labels]``, of the pictures that are learned from.
        known: Likewise.
        kind: Which of them; ``none``: all weigh 1.
    """
    positives = np.maximum((targets * known).sum(axis=0, dtype=np.float64), 1)
    if kind == "none":
        weights = np.ones_like(positives)
    elif kind == "inverse":
        weights = 1 / positives
    else:
        pictures = max(int(known.any(axis=1).sum()), 2)
        beta = (pictures - 1) / pictures
        weights = (1 - beta) / (1 - beta**positives)
    return np.asarray(weights / weights.mean(), np.float32)


def sampling_weights(targets: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """How often each picture is drawn, as shares ``[examples]`` that sum to 1.

    A label repeats by max(1, √(t / f)) for its share f of pictures, and a picture as often as the rarest of
    its labels (Gupta et al. 2019, arXiv:1908.03195, section 4.2). The threshold t is the median of the
    shares, so that half of the labels are drawn more often, however common they all are.

    Args:
        targets: ``[examples, labels]``, of the pictures that are learned from.
        known: Likewise.
    """
    positive = (targets * known) > 0
    counts = positive.sum(axis=0)
    found = counts[counts > 0]
    if not len(found):
        return np.full(len(targets), 1 / len(targets))
    repeats = np.maximum(1, np.sqrt(np.median(found) / np.maximum(counts, 1)))
    each = np.where(positive, repeats, 1).max(axis=1)
    return np.asarray(each / each.sum(), np.float64)
