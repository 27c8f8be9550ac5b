"""All measures of one model on its test pictures: the contents of ``evaluation/metrics.json``.

Numbers that could not be measured (no positive, too few scores) are null there.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from model_training.config import Evaluation
from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, Matrix, Predictions
from model_training.evaluation.bootstrap import Interval, Measure, Resampling, ends
from model_training.evaluation.calibration import Calibration
from model_training.evaluation.confusion import worst_pairs
from model_training.evaluation.reliability import FLOOR, MIN_SCORES, calibration_errors, pooled
from model_training.evaluation.slices import slices

FREQUENT = 20
"""A label with so many positives has an average precision worth comparing."""


def mean_average_precision(answers: Answers, at_least: int = 1) -> Measure:
    """The mAP over the labels with so many known positives in ``answers``, as something to resample.

    The labels are chosen once, on the pictures as they are: otherwise resamples would average over others.
    """
    chosen = metrics.measurable(answers, at_least)
    return lambda some, weights: metrics.mean_over(metrics.average_precisions(some, weights), chosen)


def _micro_f1(thresholds: Matrix) -> Measure:
    return lambda some, weights: metrics.shown_at(some, thresholds, weights).micro()[2]


def _macro_f1(answers: Answers, thresholds: Matrix) -> Measure:
    chosen = metrics.measurable(answers)
    return lambda some, weights: metrics.mean_over(metrics.shown_at(some, thresholds, weights).f1s(), chosen)


def _recall(answers: Answers, precision: float) -> Measure:
    chosen = metrics.measurable(answers)
    return lambda some, weights: metrics.mean_over(
        metrics.recalls_at_precision(some, precision, weights), chosen
    )


def _precision_at(k: int) -> Measure:
    return lambda some, weights: metrics.precision_at(some, k, weights)


def _label_rows(
    predictions: Predictions, calibration: Calibration, resampling: Resampling, precision: float
) -> list[dict[str, Any]]:
    answers = predictions.answers
    exact = metrics.average_precisions(answers)
    bounds = np.full((2, len(answers.labels)), np.nan)
    if resampling.count:
        bounds = ends(resampling.distribution(metrics.average_precisions, answers), exact).clip(0, 1)
    measurable = metrics.measurable(answers)
    recalls = metrics.recalls_at_precision(answers, precision)
    errors = calibration_errors(answers)
    shown = metrics.shown_at(answers, calibration.thresholds())
    precisions, found, f1s = shown.precisions(), shown.recalls(), shown.f1s()
    return [
        {
            "label": label,
            "positives": int(answers.positive[:, column].sum()),
            "negatives": int(answers.negative[:, column].sum()),
            # Of a label without negatives any ranking is perfect, which says nothing.
            "ap": asdict(
                Interval(float(exact[column]), float(bounds[0, column]), float(bounds[1, column]))
                if measurable[column]
                else Interval(math.nan, math.nan, math.nan)
            ),
            "recall_at_precision": float(recalls[column]),
            "threshold": calibration.labels[label].threshold,
            "threshold_precision": calibration.labels[label].threshold_precision,
            "calibrated": calibration.labels[label].calibrated,
            "precision": float(precisions[column]),
            "recall": float(found[column]),
            "f1": float(f1s[column]),
            "calibration": asdict(errors[column]),
        }
        for column, label in enumerate(answers.labels)
    ]


def _calibration_summary(answers: Answers) -> dict[str, Any]:
    errors, together = calibration_errors(answers), pooled(answers)
    enough = [one for one in errors if one.scores >= MIN_SCORES]
    counts = np.array([one.scores for one in enough])
    of_labels = np.array([one.error for one in enough])
    return {
        "floor": FLOOR,
        "labels": len(enough),
        "mean_error": float(of_labels.mean()) if enough else math.nan,
        "mean_by_chance": float(np.mean([one.by_chance for one in enough])) if enough else math.nan,
        "weighted_error": float((of_labels * counts).sum() / counts.sum()) if enough else math.nan,
        "pooled_error": together.error(),
        "pooled_by_chance": together.error_by_chance(),
        "share": sum(one.scores for one in errors) / max(int(answers.known.sum()), 1),
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN: what could not be measured is null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _slices(predictions: Predictions, thresholds: Matrix, resampling: Resampling) -> list[dict[str, Any]]:
    parts = []
    for part in slices(predictions.pictures):
        some, drawn = predictions.answers.at(part.rows), resampling.at(part.rows)
        parts.append(
            {
                "by": part.by,
                "name": part.name,
                "pictures": len(some),
                "labels": int(metrics.measurable(some).sum()),
                "labels_frequent": int(metrics.measurable(some, FREQUENT).sum()),
                "map": asdict(drawn.interval(mean_average_precision(some), some)),
                "map_frequent": asdict(drawn.interval(mean_average_precision(some, FREQUENT), some)),
                "micro_f1": asdict(drawn.interval(_micro_f1(thresholds), some)),
            }
        )
    return parts


def measure(
    predictions: Predictions, calibration: Calibration, wanted: Evaluation, *, seed: int = 0
) -> dict[str, Any]:
    """Measure everything.

    Args:
        predictions: Of the test pictures, scores calibrated.
        calibration: For the thresholds.
        wanted: How many resamples (0: the ends of intervals are null), which k, which precision. A k beyond
            the number of labels is left out.
        seed: Of the resamples.

    Returns:
        What ``docs/training.md`` describes, fit for JSON: intervals are ``{"value", "low", "high"}``.
    """
    answers, thresholds = predictions.answers, calibration.thresholds()
    resampling = Resampling(predictions.pictures.groups, wanted.bootstrap, seed)

    def bounded(quantity: Measure) -> dict[str, float]:
        return asdict(resampling.interval(quantity, answers))

    shown = metrics.shown_at(answers, thresholds)
    micro_precision, micro_recall, _ = shown.micro()
    precision = wanted.recall_at_precision
    content = {
        "pictures": len(answers),
        "groups": len(np.unique(resampling.groups)),
        "resamples": resampling.count,
        "labels": len(answers.labels),
        "labels_measured": int(metrics.measurable(answers).sum()),
        "frequent": {"positives": FREQUENT, "labels": int(metrics.measurable(answers, FREQUENT).sum())},
        "map": bounded(mean_average_precision(answers)),
        "map_frequent": bounded(mean_average_precision(answers, FREQUENT)),
        "micro_f1": bounded(_micro_f1(thresholds)),
        "micro_precision": float(micro_precision),
        "micro_recall": float(micro_recall),
        "macro_f1": bounded(_macro_f1(answers, thresholds)),
        "precision_at": {
            str(k): bounded(_precision_at(k)) for k in wanted.precision_at if k <= len(answers.labels)
        },
        "recall_at_precision": {"precision": precision, **bounded(_recall(answers, precision))},
        "accuracy": float(shown.accuracy()),
        "accuracy_all_negative": float(shown.all_negative()),
        "calibration": _calibration_summary(answers),
        "per_label": _label_rows(predictions, calibration, resampling, precision),
        "slices": _slices(predictions, thresholds, resampling),
        "confusion": [asdict(pair) for pair in worst_pairs(answers, thresholds)],
    }
    plain: dict[str, Any] = _plain(content)
    return plain
