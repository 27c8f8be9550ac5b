"""The one number by which epochs are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model_training.evaluation.answers import answers_of
from model_training.evaluation.metrics import average_precisions, mean_over, measurable


def mean_average_precision(
    labels: tuple[str, ...],
    targets: NDArray[np.float32],
    known: NDArray[np.float32],
    logits: NDArray[np.float32],
) -> float:
    """The mAP over the labels with a known positive and a known negative; NaN where there is none."""
    answers = answers_of(labels, targets, known, logits.astype(np.float64))
    return float(mean_over(average_precisions(answers), measurable(answers)))
