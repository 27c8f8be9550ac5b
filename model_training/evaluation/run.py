"""Evaluates a trained run: calibration and thresholds on validation, every measure on test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as PrintedTable

from model_training.datasets.prepared import Prepared
from model_training.evaluation import tables
from model_training.evaluation.answers import save_predictions
from model_training.evaluation.calibration import save_calibration
from model_training.evaluation.cross_validation import cross_validate
from model_training.evaluation.held_out import HeldOut, check_fits, predict
from model_training.evaluation.measures import measure
from model_training.evaluation.notebook import write_notebook
from model_training.evaluation.plots import evaluation_plots
from model_training.evaluation.report import Subject, write_report
from model_training.tracking import Tracker
from model_training.training.card import write_card
from model_training.training.run_folder import CALIBRATION, write_json

FOLDER = "evaluation"


def evaluate(
    run: Path, prepared: Prepared, tracker: Tracker, console: Console, *, folds: int | None = None
) -> dict[str, Any]:
    """Evaluate the network of a run and write everything about it into the run's folder.

    Args:
        run: Folder that training wrote. Gets ``calibration.json`` and ``evaluation/``, and its model
            card the measures; what an earlier evaluation left there is written over.
        prepared: The data that the run was trained on.
        tracker: Gets the headline figures and the files.
        console: For progress and the summary.
        folds: Calibrate and measure by cross-validation over so many parts of all pictures; None: on those
            that were held out.

    Returns:
        The contents of ``evaluation/metrics.json``.

    Raises:
        ConfigError: the run's configuration cannot be read, or its head cannot be cross-validated.
        RunError: it is no run, or one that was not trained to the end.
        DataError: the data are not those of the run, or nothing is held out.
    """
    about = check_fits(run, prepared, held_out=folds is None)
    config = about.config
    if folds is None:
        held_out = predict(run, prepared, config, console)
    else:
        held_out = cross_validate(run, prepared, config, folds, console)
    with console.status("Measuring"):
        measured = measure(
            held_out.test, held_out.calibration, config.evaluation, seed=config.data.split.seed
        )
    measured["folds"] = folds
    subject = Subject(
        title=config.name,
        names=about.names,
        facts={
            "data": f"{prepared.name}, {prepared.data_hash[:12]}",
            "git commit": about.data["git_commit"] or "unknown",
            "measured on": f"{len(held_out.test.answers)} pictures"
            + (f", {folds} folds" if folds else ", held out"),
            "network": f"{config.network.backbone}, {config.network.head} head, {config.input.size} px",
        },
    )
    with console.status("Report and notebook"):
        _write(run, held_out, measured, subject)
    console.print(printed(tables.summary(measured)))
    tracker.metrics(headline(measured))
    tracker.artifact(run / CALIBRATION)
    tracker.artifact(run / FOLDER, FOLDER)
    tracker.artifact(write_card(run))
    return measured


def _write(run: Path, held_out: HeldOut, measured: Mapping[str, Any], subject: Subject) -> None:
    folder = run / FOLDER
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    save_calibration(run / CALIBRATION, held_out.calibration)
    save_predictions(folder / "validation.npz", held_out.validation)
    save_predictions(folder / "predictions.npz", held_out.test)
    write_json(folder / "metrics.json", measured)
    plots = evaluation_plots(
        held_out.test.answers, held_out.calibration.thresholds(), measured, subject.names
    )
    for left in (folder / "plots").glob("*.png"):
        left.unlink()  # an earlier evaluation may have had something to show for another plot
    written = [(plot, plot.write(folder / "plots")) for plot in plots]
    write_report(folder / "report.html", subject, measured, written)
    write_notebook(folder / "evaluation.ipynb", name=subject.title)


def headline(measured: Mapping[str, Any]) -> dict[str, float]:
    """The figures that runs are compared by, under their names in MLflow; what is null is left out."""
    found = {
        "test_map": measured["map"]["value"],
        "test_map_low": measured["map"]["low"],
        "test_map_high": measured["map"]["high"],
        "test_map_frequent": measured["map_frequent"]["value"],
        "test_micro_f1": measured["micro_f1"]["value"],
        "test_micro_precision": measured["micro_precision"],
        "test_micro_recall": measured["micro_recall"],
        "test_macro_f1": measured["macro_f1"]["value"],
        "test_recall_at_precision": measured["recall_at_precision"]["value"],
        "test_accuracy": measured["accuracy"],
        "test_accuracy_all_negative": measured["accuracy_all_negative"],
        "test_calibration_error": measured["calibration"]["pooled_error"],
        "test_calibration_error_mean": measured["calibration"]["mean_error"],
        **{f"test_precision_at_{k}": one["value"] for k, one in measured["precision_at"].items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def printed(table: tables.Table) -> PrintedTable:
    """A table for the terminal."""
    result = PrintedTable(title=table.title, caption=table.note)
    for position, heading in enumerate(table.headings):
        result.add_column(heading, justify="right" if position else "left")
    for row in table.rows:
        result.add_row(*row)
    return result
