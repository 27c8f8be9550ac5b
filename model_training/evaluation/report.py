"""The report: one HTML file that needs nothing else, with its plots in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from model_training.evaluation import tables
from model_training.evaluation.plots import Plot


@dataclass(frozen=True, slots=True)
class Subject:
    """What is reported on."""

    title: str
    """Name of the model."""
    names: Mapping[str, str]
    """What people call a label, by slug."""
    facts: Mapping[str, str]
    """What else the report says of the run: data, commit, network."""


def _figures(measured: Mapping[str, Any]) -> list[dict[str, str]]:
    """The four numbers on top."""
    accuracy = tables.share(measured["accuracy"])
    nothing = tables.share(measured["accuracy_all_negative"])
    return [
        {
            "name": "mAP",
            "value": tables.number(measured["map"]["value"]),
            "note": tables.spread(measured["map"]),
        },
        {
            "name": "micro F1",
            "value": tables.number(measured["micro_f1"]["value"]),
            "note": tables.spread(measured["micro_f1"]),
        },
        {
            "name": "calibration error",
            "value": tables.number(measured["calibration"]["pooled_error"]),
            "note": f"by chance: {tables.number(measured['calibration']['pooled_by_chance'])}",
        },
        {"name": "accuracy", "value": accuracy, "note": f"never showing anything: {nothing}"},
    ]


def write_report(
    path: Path, subject: Subject, measured: Mapping[str, Any], plots: Sequence[tuple[Plot, Path]]
) -> None:
    """Write the report.

    Args:
        path: Of the HTML file.
        subject: What is reported on.
        measured: The contents of ``metrics.json``.
        plots: With the PNG that each was written to.
    """
    environment = Environment(
        loader=PackageLoader("model_training.evaluation", "."), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("report.html.j2").render(
        title=subject.title,
        facts=subject.facts,
        figures=_figures(measured),
        summary=tables.summary(measured),
        labels=tables.per_label(measured, subject.names),
        slices=tables.by_slice(measured),
        confused=tables.confused(measured, subject.names),
        plots=[
            {
                "title": plot.title,
                "caption": plot.caption,
                "png": base64.b64encode(file.read_bytes()).decode(),
            }
            for plot, file in plots
        ],
    )
    path.write_text(text, encoding="utf-8")
