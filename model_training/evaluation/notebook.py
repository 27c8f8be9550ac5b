"""The notebook: the evaluation once more, executed, for whoever wants to go on from it.

Its cells read the files of the run through the functions that wrote them and measure nothing of their own.
"""

from __future__ import annotations

import os
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

import model_training

_TIMEOUT_S = 600
_CELLS = (
    (
        "markdown",
        """
        # Evaluation of NAME

        Written by `python -m model_training evaluate` and executed beside the files that it reads. What each
        figure means is in `docs/training.md`, section Evaluation.
        """,
    ),
    (
        "code",
        """
        import json
        from pathlib import Path

        from model_training.evaluation import plots, tables
        from model_training.evaluation.answers import load_predictions
        from model_training.evaluation.bootstrap import Resampling
        from model_training.evaluation.calibration import load_calibration
        from model_training.evaluation.measures import mean_average_precision
        from model_training.evaluation.metrics import average_precisions, shown_at

        %matplotlib inline

        here = Path.cwd()
        predictions = load_predictions(here / "predictions.npz")
        calibration = load_calibration(here.parent / "calibration.json")
        names = json.loads((here.parent / "labels.json").read_text(encoding="utf-8"))["names"]
        measured = json.loads((here / "metrics.json").read_text(encoding="utf-8"))
        answers = predictions.answers
        """,
    ),
    ("markdown", "## All labels together"),
    ("code", "tables.summary(measured)"),
    ("markdown", "## Each label"),
    ("code", "tables.per_label(measured, names)"),
    (
        "code",
        "plot = plots.average_precision_plot(measured['per_label'], names)\nplot and plot.figure",
    ),
    (
        "code",
        "plot = plots.precision_recall_plot(answers, names)\nplot and plot.figure",
    ),
    ("markdown", "## Are scores probabilities?"),
    ("code", "plots.reliability_plot(answers).figure"),
    ("markdown", "## Where it is worse"),
    ("code", "tables.by_slice(measured)"),
    (
        "markdown",
        """
        ## What it takes for what

        Mistakes beside true labels, at the thresholds of `calibration.json`.
        """,
    ),
    ("code", "tables.confused(measured, names)"),
    (
        "code",
        """
        plot = plots.confusion_plot(answers, calibration.thresholds(), names)
        plot and plot.figure
        """,
    ),
    (
        "markdown",
        """
        ## Going on from here

        Every measure takes answers, so a part of the pictures is measured like the whole. For example the mAP
        of the darker half of the pictures, with its interval:
        """,
    ),
    (
        "code",
        """
        brightness = predictions.pictures.brightness
        dark = brightness <= sorted(brightness)[len(brightness) // 2]
        some = answers.at(dark)
        Resampling(predictions.pictures.groups[dark], count=200).interval(mean_average_precision(some), some)
        """,
    ),
    ("markdown", "At half the thresholds, how much more is found, and at what price:"),
    (
        "code",
        """
        for factor in (1, 0.5):
            precision, recall, f1 = shown_at(answers, factor * calibration.thresholds()).micro()
            print(f"thresholds × {factor}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}")
        """,
    ),
)


def write_notebook(path: Path, *, name: str) -> None:
    """Write ``evaluation.ipynb`` into the folder of ``metrics.json``, executed there.

    Args:
        path: Of the notebook; its folder is ``RUN/evaluation`` with all other files in place.
        name: Of the model.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; nothing is written.
    """
    v4: Any = nbformat.v4  # has no types
    notebook = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for position, (kind, text) in enumerate(_CELLS):
        new = v4.new_code_cell if kind == "code" else v4.new_markdown_cell
        cell = new(textwrap.dedent(text).strip().replace("NAME", name))
        cell["id"] = f"cell-{position}"  # a random one would make every run another file
        notebook.cells.append(cell)
    with tempfile.TemporaryDirectory(prefix="kernel-") as private:
        # Sockets in a folder that only this user can open, and nothing in the home folder.
        kernel = AsyncKernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(Path(private) / "k.json")
        )
        client = NotebookClient(
            notebook, km=kernel, timeout=_TIMEOUT_S, resources={"metadata": {"path": str(path.parent)}}
        )
        environment = {**os.environ, "PYTHONPATH": _search_path(), "IPYTHONDIR": private}
        client.execute(env=environment, cleanup_kc=True)  # that ends the kernel, too
    path.write_text(v4.writes(notebook) + "\n", encoding="utf-8")


def _search_path() -> str:
    """The kernel is another process, in another folder: it finds this package where we did."""
    here = str(Path(model_training.__path__[0]).parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
