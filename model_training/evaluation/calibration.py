"""Platt scaling: turns the logits of each label into probabilities, fitted on pictures the network never saw.

Platt, *Probabilistic outputs for support vector machines* (1999), with his smoothed targets; Newton's method
as in Lin, Lin and Weng, *A note on Platt's probabilistic outputs* (Machine Learning 68, 2007).
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from model_training.evaluation.answers import Mask, Matrix
from model_training.evaluation.thresholds import DEFAULT_THRESHOLD, threshold_for

MIN_POSITIVES = 10
"""A label with fewer positives or negatives among the validation pictures gets no scale of its own."""
_STEPS = 100
_RIDGE = 1e-12
_FLAT = 1e-8


def sigmoid(values: Matrix) -> Matrix:
    """1 / (1 + e⁻ˣ) without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * values))


@dataclass(frozen=True, slots=True)
class Platt:
    """``score = sigmoid(scale · logit + offset)``."""

    scale: float
    offset: float


def _loss(logits: Matrix, wanted: Matrix, scale: float, offset: float) -> float:
    """Cross-entropy, as log(1 + eᶻ) - t·z."""
    z = scale * logits + offset
    return float((np.logaddexp(0, z) - wanted * z).sum())


def fit_platt(logits: Matrix, targets: Mask) -> Platt:
    """The scale and offset of greatest likelihood.

    Targets are smoothed as Platt does: (N₊ + 1) / (N₊ + 2) for positives and 1 / (N₋ + 2) for negatives, so
    that a label told perfectly on few pictures is not thought certain, and the fit is finite.

    Args:
        logits: ``[pictures]``, known ones only.
        targets: Which of them have the label.

    Raises:
        ValueError: there are no pictures.
    """
    if len(logits) == 0:
        raise ValueError("there are no logits to fit a scale to")
    positives = int(targets.sum())
    negatives = len(targets) - positives
    wanted = np.where(targets, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # In units of their own spread, so that the Newton steps do not depend on how large the logits are.
    centre, spread = float(logits.mean()), float(logits.std()) or 1.0
    x = (logits - centre) / spread
    scale, offset = 0.0, math.log((positives + 1) / (negatives + 1))
    loss = _loss(x, wanted, scale, offset)
    for _ in range(_STEPS):
        p = sigmoid(scale * x + offset)
        error, curvature = p - wanted, p * (1 - p)
        gradient = np.array([(error * x).sum(), error.sum()])
        if np.abs(gradient).max() < _FLAT * len(x):
            break
        mixed = (curvature * x).sum()
        hessian = np.array([[(curvature * x * x).sum(), mixed], [mixed, curvature.sum()]])
        step = np.linalg.solve(hessian + _RIDGE * np.eye(2), gradient)
        size = 1.0
        while size > _FLAT:
            tried = scale - size * step[0], offset - size * step[1]
            new = _loss(x, wanted, *tried)
            if new < loss:
                (scale, offset), loss = tried, new
                break
            size /= 2
        else:
            break  # nothing lower in this direction: as exact as the numbers are
    return Platt(float(scale / spread), float(offset - scale * centre / spread))


@dataclass(frozen=True, slots=True)
class LabelCalibration:
    """What belongs to one label in ``calibration.json``."""

    scale: float
    offset: float
    threshold: float
    calibrated: bool
    """Whether the scale was fitted to this label. Otherwise it is the one of all labels together."""
    positives: int
    """Among the validation pictures; what is unknown counts in neither."""
    negatives: int
    threshold_precision: float | None
    """The lower end of the precision's interval at the threshold; None: the threshold is the default one."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration of each label, in the order of the network's logits."""

    labels: dict[str, LabelCalibration]

    def scores(self, logits: Matrix) -> Matrix:
        """Probabilities ``[pictures, labels]`` of logits of that shape."""
        scale = np.array([one.scale for one in self.labels.values()])
        offset = np.array([one.offset for one in self.labels.values()])
        return sigmoid(scale * logits + offset)

    def thresholds(self) -> Matrix:
        """``[labels]``."""
        return np.array([one.threshold for one in self.labels.values()])


def calibrate(
    labels: tuple[str, ...], logits: Matrix, targets: Mask, known: Mask, *, precision: float
) -> Calibration:
    """Fit scales and thresholds on validation pictures.

    A label with fewer than :data:`MIN_POSITIVES` positives or negatives, or that the network tells worse than
    chance (its scale would be negative and turn the order round), gets the scale of all labels together, the
    default threshold, and the mark that it is not calibrated.

    Args:
        labels: As the columns are.
        logits: ``[pictures, labels]``.
        targets: True where the picture has the label.
        known: False where nobody said.
        precision: What thresholds are chosen for.

    Raises:
        ValueError: nothing is known of any picture.
    """
    together = fit_platt(logits[known], targets[known])
    if together.scale <= 0:
        together = Platt(1.0, 0.0)
    found = {}
    for column, label in enumerate(labels):
        rows = known[:, column]
        values, truth = logits[rows, column], targets[rows, column]
        positives = int(truth.sum())
        negatives = len(truth) - positives
        platt = together
        calibrated = min(positives, negatives) >= MIN_POSITIVES
        if calibrated:
            own = fit_platt(values, truth)
            calibrated = own.scale > 0
            platt = own if calibrated else together
        threshold = (
            threshold_for(sigmoid(platt.scale * values + platt.offset), truth, precision)
            if calibrated
            else None
        )
        found[label] = LabelCalibration(
            platt.scale,
            platt.offset,
            threshold.value if threshold else DEFAULT_THRESHOLD,
            calibrated,
            positives,
            negatives,
            threshold.low if threshold else None,
        )
    return Calibration(found)


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write ``calibration.json``."""
    content = {"labels": {label: asdict(one) for label, one in calibration.labels.items()}}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load_calibration(path: Path) -> Calibration:
    """Read ``calibration.json``."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return Calibration({label: LabelCalibration(**one) for label, one in content["labels"].items()})
