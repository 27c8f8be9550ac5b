"""The tables of an evaluation, as text: one source for the report, the notebook and the terminal."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and cells. The first column is left-aligned, all others are numbers."""

    title: str
    note: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in self.headings)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"{note}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def number(value: float | None) -> str:
    """Three decimals, or a dash for what could not be measured."""
    return NOTHING if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """In per cent."""
    return NOTHING if value is None else f"{value:.1%}"


def spread(interval: Mapping[str, float | None]) -> str:
    """The ends of an interval."""
    if interval["value"] is None or interval["low"] is None or interval["high"] is None:
        return NOTHING
    return f"{interval['low']:.3f} … {interval['high']:.3f}"


def summary(measured: Mapping[str, Any]) -> Table:
    """The headline figures."""
    frequent, recall, calibration = (
        measured[key] for key in ("frequent", "recall_at_precision", "calibration")
    )

    floor = calibration["floor"]

    def bounded(title: str, interval: Mapping[str, float | None]) -> tuple[str, str, str]:
        return title, number(interval["value"]), spread(interval)

    rows = [
        bounded(f"mAP over {measured['labels_measured']} labels", measured["map"]),
        bounded(
            f"mAP over {frequent['labels']} labels with {frequent['positives']} positives or more",
            measured["map_frequent"],
        ),
        bounded("F1 at the thresholds, micro", measured["micro_f1"]),
        ("precision, micro", number(measured["micro_precision"]), NOTHING),
        ("recall, micro", number(measured["micro_recall"]), NOTHING),
        bounded("F1 at the thresholds, macro", measured["macro_f1"]),
        *(bounded(f"precision of the best {k}", one) for k, one in measured["precision_at"].items()),
        bounded(f"recall at precision {recall['precision']:g}, mean of the labels", recall),
        (
            f"calibration error, mean of {calibration['labels']} labels, scores from {floor:g} on",
            number(calibration["mean_error"]),
            NOTHING,
        ),
        ("… of right probabilities, by chance", number(calibration["mean_by_chance"]), NOTHING),
        ("calibration error, all labels together", number(calibration["pooled_error"]), NOTHING),
        ("… of right probabilities, by chance", number(calibration["pooled_by_chance"]), NOTHING),
        ("accuracy", share(measured["accuracy"]), NOTHING),
        ("accuracy of never showing anything", share(measured["accuracy_all_negative"]), NOTHING),
    ]
    kind = "pictures" if measured.get("folds") else "test pictures"
    note = (
        f"{measured['pictures']} {kind} in {measured['groups']} groups of near duplicates. "
        f"Intervals: 95 %, {measured['resamples']} resamples of groups."
    )
    return Table("Summary", note, ("measure", "value", "95 %"), tuple(rows))


def per_label(measured: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    """Everything about each label, the worst average precision first, what was not measured last."""
    precision = measured["recall_at_precision"]["precision"]

    def place(row: Mapping[str, Any]) -> tuple[bool, float, str]:
        value = row["ap"]["value"]
        return value is None, value or 0.0, row["label"]

    return Table(
        "Labels",
        "A threshold with * was chosen for its precision; the others are the default. "
        "The calibration error needs at least 20 scores; so few show one by chance, too.",
        (
            *("label", "positives", "negatives", "AP", "95 %", f"recall at precision {precision:g}"),
            *("threshold", "precision", "recall", "F1", "calibration error", "by chance", "scores"),
        ),
        tuple(
            (
                names.get(row["label"], row["label"]),
                str(row["positives"]),
                str(row["negatives"]),
                number(row["ap"]["value"]),
                spread(row["ap"]),
                number(row["recall_at_precision"]),
                f"{row['threshold']:.2f}{'' if row['threshold_precision'] is None else '*'}",
                number(row["precision"]),
                number(row["recall"]),
                number(row["f1"]),
                number(row["calibration"]["error"]),
                number(row["calibration"]["by_chance"]),
                str(row["calibration"]["scores"]),
            )
            for row in sorted(measured["per_label"], key=place)
        ),
    )


def by_slice(measured: Mapping[str, Any]) -> Table:
    """The parts of the test pictures."""
    return Table(
        "Slices",
        "The mAP of a slice is over the labels that it has positives and negatives of, so slices with other "
        "labels, or with rarer ones, compare badly; F1 depends on that less.",
        ("by", "part", "pictures", "labels", "mAP", "95 %", "micro F1", "95 %"),
        tuple(
            (
                part["by"],
                part["name"],
                str(part["pictures"]),
                str(part["labels"]),
                number(part["map"]["value"]),
                spread(part["map"]),
                number(part["micro_f1"]["value"]),
                spread(part["micro_f1"]),
            )
            for part in measured["slices"]
        ),
    )


def confused(measured: Mapping[str, Any], names: Mapping[str, str]) -> Table:
    """The pairs with the most mistakes."""
    return Table(
        "Mistakes beside true labels",
        "The rate is of the pictures that have the true label and not the one shown. The lift says how much "
        "more often that is than on any picture without the label shown.",
        ("true", "shown by mistake", "pictures", "rate", "lift"),
        tuple(
            (
                names.get(pair["true"], pair["true"]),
                names.get(pair["shown"], pair["shown"]),
                str(pair["mistakes"]),
                share(pair["rate"]),
                f"{pair['lift']:.1f}",
            )
            for pair in measured["confusion"]
        ),
    )
