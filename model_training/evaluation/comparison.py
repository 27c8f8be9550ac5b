"""Two runs that were evaluated on the same pictures, side by side and paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from model_training.datasets.errors import DataError
from model_training.evaluation import metrics
from model_training.evaluation.answers import Answers, Mask, Matrix, Predictions, load_predictions
from model_training.evaluation.bootstrap import Interval, Resampling, paired_difference
from model_training.evaluation.measures import FREQUENT, mean_average_precision
from model_training.evaluation.run import FOLDER
from model_training.evaluation.tables import Table, number, spread

RECALL = 0.9
"""Where the precision of a single label is told."""
_EVERYWHERE = "all"


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    name: str
    rows: Mask


def compare(ours: Path, theirs: Path, labels: Sequence[str], *, resamples: int) -> list[Table]:
    """Tables of the mean average precision by source, and of single labels.

    Args:
        ours: Folder of a run that was evaluated.
        theirs: Another one, on the same pictures with the same labels.
        labels: Slugs that get a table of their own.
        resamples: For the intervals of the differences; near duplicates are drawn together.

    Raises:
        DataError: a run was not evaluated, the two saw other pictures, labels or decisions, or have no such
            label.
    """
    first, second = _predictions(theirs), _predictions(ours)
    if not _same(first, second):
        raise DataError(f"{ours} and {theirs} were not measured on the same pictures and labels")
    strange = sorted(set(labels) - set(first.answers.labels))
    if strange:
        raise DataError(f"{ours} has no label {', '.join(strange)}")
    resampling = Resampling(first.pictures.groups, resamples)
    names = theirs.name, ours.name
    single = [_of_label(label, names, first, second, resampling) for label in labels]
    return [_by_source(names, first, second, resampling), *single]


def _predictions(run: Path) -> Predictions:
    path = run / FOLDER / "predictions.npz"
    if not path.is_file():
        raise DataError(f"{run} was not evaluated: {path} is missing")
    return load_predictions(path)


def _same(first: Predictions, second: Predictions) -> bool:
    """Whether both were measured on the same pictures with the same truth."""
    ours, theirs = first.answers, second.answers
    return (
        first.pictures.sha256 == second.pictures.sha256
        and ours.labels == theirs.labels
        and np.array_equal(ours.known, theirs.known)
        and np.array_equal(ours.positive, theirs.positive)
    )


def _parts(predictions: Predictions) -> list[_Part]:
    sources = np.array(predictions.pictures.sources)
    each = [_Part(name, sources == name) for name in sorted(set(predictions.pictures.sources))]
    return [_Part(_EVERYWHERE, np.ones(len(sources), bool)), *each]


def _by_source(
    names: tuple[str, str], first: Predictions, second: Predictions, resampling: Resampling
) -> Table:
    rows = []
    for part in _parts(first):
        theirs, ours = first.answers.at(part.rows), second.answers.at(part.rows)
        count = int(metrics.measurable(theirs, FREQUENT).sum())
        if not count:
            continue
        measure = mean_average_precision(theirs, FREQUENT)
        found = [float(measure(answers, np.ones((1, len(answers))))[0]) for answers in (theirs, ours)]
        gain = paired_difference(measure, theirs, ours, resampling.at(part.rows))
        rows.append((part.name, str(len(theirs)), str(count), *map(number, found), *_difference(gain)))
    return Table(
        "Mean average precision",
        f"Over the labels with {FREQUENT} positives or more in that source. Differences are paired.",
        ("source", "pictures", "labels", *names, "difference", "95 %"),
        tuple(rows),
    )


def _difference(gain: Interval) -> tuple[str, str]:
    return f"{gain.value:+.3f}", spread(asdict(gain))


def _of_label(
    label: str, names: tuple[str, str], first: Predictions, second: Predictions, resampling: Resampling
) -> Table:
    parts = _parts(first)
    # Where most pictures show it, little can be wrong: the others together are the harder test.
    column = first.answers.labels.index(label)
    shares = [_share(first.answers.at(part.rows), column) for part in parts[1:]]
    most = int(np.argmax(shares))
    parts.insert(1, _Part(f"{_EVERYWHERE} but {parts[1 + most].name}", ~parts[1 + most].rows))
    rows = []
    for part in parts:
        known = part.rows & first.answers.known[:, column]
        theirs, ours = (_single(one.answers.at(known), column) for one in (first, second))
        if not metrics.measurable(theirs).all():
            continue
        precisions = [float(metrics.average_precisions(one)[0]) for one in (theirs, ours)]
        gain = paired_difference(
            lambda some, weights: metrics.average_precisions(some, weights)[:, 0],
            theirs,
            ours,
            resampling.at(known),
        )
        rows.append(
            (
                part.name,
                str(int(theirs.positive.sum())),
                str(int(theirs.negative.sum())),
                *map(number, precisions),
                *_difference(gain),
                *(number(_precision_at_recall(one)) for one in (theirs, ours)),
            )
        )
    return Table(
        f"Average precision of {label!r}, and precision at recall {RECALL}",
        "Pictures of which nobody said are left out.",
        ("source", "with it", "without", *names, "difference", "95 %", *(f"P, {name}" for name in names)),
        tuple(rows),
    )


def _share(answers: Answers, column: int) -> float:
    known = answers.known[:, column]
    return float(answers.positive[known, column].mean()) if known.any() else 0.0


def _single(answers: Answers, column: int) -> Answers:
    one = slice(column, column + 1)
    return Answers(
        answers.labels[one], answers.targets[:, one], answers.known[:, one], answers.scores[:, one]
    )


def _precision_at_recall(answers: Answers) -> float:
    recall, precision = metrics.precision_recall_curve(answers, 0)
    reached: Matrix = precision[recall >= RECALL]
    return float(reached.max())
