"""Plots of an evaluation: dark on white, readable at 800 pixels. No global state of matplotlib is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_training.evaluation.answers import Answers, Matrix
from model_training.evaluation.confusion import confusion
from model_training.evaluation.metrics import measurable, precision_recall_curve
from model_training.evaluation.reliability import pooled

_DPI = 120
_INK, _FAINT, _BLUE, _ORANGE = "#1f2933", "#c9d1d9", "#1d5fa8", "#c2570c"
_CURVES = 8
_CONFUSED = 24
_BARS = 60


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A figure with what it shows in words."""

    name: str
    """Of the file, without ``.png``."""
    title: str
    caption: str
    figure: Figure

    def write(self, folder: Path) -> Path:
        """Write it as PNG and return the path."""
        path = folder / f"{self.name}.png"
        # Without the version of matplotlib in the file, equal plots are equal files.
        self.figure.savefig(path, dpi=_DPI, metadata={"Software": None})
        return path


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    _style(axes)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.set_facecolor("white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=_INK)


def reliability_plot(answers: Answers) -> Plot:
    """How often scores are right, all labels together; above it lies a model that is too modest."""
    curve = pooled(answers)
    figure = Figure(figsize=(6.4, 6), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for axes in (upper, lower):
        _style(axes)
    upper.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle="--", label="perfect")
    upper.plot(curve.scores, curve.shares, color=_BLUE, marker="o", label="measured")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that has the label")
    upper.legend(frameon=False, loc="upper left")
    lower.bar(curve.edges[:-1], curve.counts, np.diff(curve.edges), align="edge", color=_BLUE, alpha=0.7)
    lower.set(xlabel="score", ylabel="scores")
    return Plot(
        "reliability",
        "Reliability",
        f"Mean score against the share that is right, scores from {curve.edges[0]:g} on, all labels. "
        f"The mean distance to the dashed line, weighted by the bars, is {curve.error():.3f}; "
        f"right probabilities would show {curve.error_by_chance():.3f} by chance.",
        figure,
    )


def precision_recall_plot(answers: Answers, names: Mapping[str, str]) -> Plot | None:
    """The curves of the labels with the most positives, the steps of all others behind them."""
    chosen = np.flatnonzero(measurable(answers))
    if not len(chosen):
        return None
    order = sorted(chosen.tolist(), key=lambda column: -int(answers.positive[:, column].sum()))
    figure, axes = _axes(7.6, 5.2)
    for column in order[_CURVES:]:
        axes.plot(*precision_recall_curve(answers, column), color=_FAINT, linewidth=0.7)
    for column in order[:_CURVES]:
        label = names.get(answers.labels[column], answers.labels[column])
        axes.plot(*precision_recall_curve(answers, column), linewidth=1.6, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    others = f"; the other {len(order) - _CURVES} in grey" if len(order) > _CURVES else ""
    return Plot(
        "precision_recall",
        "Precision and recall",
        f"The labels with the most positives{others}.",
        figure,
    )


def average_precision_plot(per_label: list[dict[str, Any]], names: Mapping[str, str]) -> Plot | None:
    """Average precision of each label with its interval, the best above.

    Args:
        per_label: Of ``metrics.json``.
        names: What people call a label.
    """
    rows = sorted(
        (row for row in per_label if row["ap"]["value"] is not None), key=lambda row: row["ap"]["value"]
    )
    if not rows:
        return None
    left_out = len(rows) - _BARS
    rows = rows[:_BARS]  # the worst, from below: they are what one looks for
    values = np.array([row["ap"]["value"] for row in rows])
    figure, axes = _axes(7.6, 0.9 + 0.21 * len(rows))
    places = np.arange(len(rows))
    axes.barh(places, values, color=_BLUE, alpha=0.75)
    if all(row["ap"]["low"] is not None for row in rows):
        low = values - np.array([row["ap"]["low"] for row in rows])
        high = np.array([row["ap"]["high"] for row in rows]) - values
        spread = np.stack([low, high]).clip(0)
        axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=_INK, elinewidth=0.8)
    axes.set_yticks(places, [f"{names.get(row['label'], row['label'])} ({row['positives']})" for row in rows])
    axes.set(xlim=(0, 1), ylim=(-0.6, len(rows) - 0.4), xlabel="average precision")
    axes.grid(visible=False, axis="y")
    kept = f" The {left_out} best labels are left out." if left_out > 0 else ""
    return Plot(
        "average_precision",
        "Average precision per label",
        f"With 95 % intervals; the number of positives is in brackets.{kept}",
        figure,
    )


def confusion_plot(answers: Answers, thresholds: Matrix, names: Mapping[str, str]) -> Plot | None:
    """Mistakes among the labels that have most of them."""
    counted = confusion(answers, thresholds)
    mistakes = counted.mistakes.sum(axis=0) + counted.mistakes.sum(axis=1)
    chosen = [column for column in np.argsort(-mistakes, kind="stable")[:_CONFUSED] if mistakes[column] > 0]
    if len(chosen) < 2:
        return None
    chosen = sorted(chosen, key=lambda column: answers.labels[column])
    called = [names.get(answers.labels[column], answers.labels[column]) for column in chosen]
    rates = counted.rates()[np.ix_(chosen, chosen)]
    side = 2.6 + 0.3 * len(chosen)
    figure, axes = _axes(side + 1, side)
    axes.grid(visible=False)
    image = axes.imshow(
        np.ma.masked_invalid(rates), cmap="Oranges", vmin=0, vmax=max(float(np.nanmax(rates)), 0.05)
    )
    axes.set_xticks(range(len(chosen)), called, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(chosen)), called)
    axes.set(xlabel="shown by mistake", ylabel="true")
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the pictures")
    return Plot(
        "confusion",
        "Mistakes beside true labels",
        "Of the pictures that have the label of the row and not that of the column: the share that is shown "
        "the latter. White on the diagonal, and where no picture could tell.",
        figure,
    )


def evaluation_plots(
    answers: Answers, thresholds: Matrix, measured: Mapping[str, Any], names: Mapping[str, str]
) -> tuple[Plot, ...]:
    """All of them that there is something to show for."""
    builders: tuple[Callable[[], Plot | None], ...] = (
        lambda: average_precision_plot(measured["per_label"], names),
        lambda: precision_recall_plot(answers, names),
        lambda: reliability_plot(answers),
        lambda: confusion_plot(answers, thresholds, names),
    )
    return tuple(plot for plot in (build() for build in builders) if plot is not None)
