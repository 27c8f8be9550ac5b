"""Lets the network of a run answer for the pictures that it never learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_training.config import Config
from model_training.datasets.errors import DataError
from model_training.datasets.input import batches
from model_training.datasets.prepared import Prepared
from model_training.evaluation.answers import Matrix, Pictures, Predictions, answers_of
from model_training.evaluation.calibration import Calibration, calibrate
from model_training.export import square_squash
from model_training.networks.network import load_network
from model_training.training.run_folder import NETWORK, RunError, RunFacts, read_run


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """What the network answered, and the calibration that was fitted to the validation pictures."""

    calibration: Calibration
    validation: Predictions
    test: Predictions


def check_fits(run: Path, prepared: Prepared, *, held_out: bool = True) -> RunFacts:
    """Refuse data that the run was not trained with: its test pictures may be among those learned from.

    Args:
        run: Folder of the run.
        prepared: The data.
        held_out: Whether some pictures must be kept for calibrating and for measuring.

    Returns:
        What the run says of itself.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: it is no run, or one that was not trained to the end.
        DataError: other data, other labels, or no pictures to calibrate or to measure on.
    """
    facts = read_run(run)
    if not (run / NETWORK).is_file():
        raise RunError(f"{run} holds no {NETWORK}: train it to the end first")
    if facts.labels != prepared.labels:
        other = ", ".join(sorted(set(facts.labels) ^ set(prepared.labels))[:10])
        raise DataError(
            f"{prepared.folder} has other labels than {run}: {other or 'the same in another order'}"
        )
    learned = facts.data["data_hash"]
    if learned != prepared.data_hash:
        raise DataError(
            f"{run} was trained on data {learned[:12]}, and {prepared.folder} is {prepared.data_hash[:12]}: "
            "what the one holds out the other may have learned from. Name the data of the run, or train again"
        )
    for split in ("validation", "test") if held_out else ():
        if not len(prepared.rows(split)):
            raise DataError(
                f"no picture of {prepared.folder} is held out for {split}: raise data.split.{split}, or "
                "measure by cross-validation (--folds)"
            )
    return facts


def predict(run: Path, prepared: Prepared, config: Config, console: Console) -> HeldOut:
    """Answer for the validation and the test pictures, calibrated on the former.

    Args:
        run: With its network.
        prepared: The data of the run (:func:`check_fits`).
        config: Of the run.
        console: For progress.
    """
    network = load_network(run / NETWORK)
    pixels = prepared.pixels(square_squash(config.input.size), console)
    targets, known = (matrix.astype(bool) for matrix in prepared.targets())
    labels = tuple(prepared.labels)

    def logits(rows: NDArray[np.intp], what: str) -> Matrix:
        batch = config.input.batch
        steps = track(batches(pixels, rows, batch), what, total=-(-len(rows) // batch), console=console)
        answered = [np.asarray(network(images, training=False)[1], np.float64) for images in steps]
        return np.concatenate(answered)

    def predictions(rows: NDArray[np.intp], answered: Matrix) -> Predictions:
        answers = answers_of(labels, targets[rows], known[rows], calibration.scores(answered))
        return Predictions(answers, answered, pictures_of(prepared, rows))

    validation, test = prepared.rows("validation"), prepared.rows("test")
    of_validation, of_test = logits(validation, "Validation pictures"), logits(test, "Test pictures")
    calibration = calibrate(
        labels,
        of_validation,
        targets[validation],
        known[validation],
        precision=config.evaluation.threshold_precision,
    )
    return HeldOut(calibration, predictions(validation, of_validation), predictions(test, of_test))


def pictures_of(prepared: Prepared, rows: NDArray[np.intp]) -> Pictures:
    """Facts about some of the pictures."""
    examples = [prepared.examples[row] for row in rows.tolist()]
    return Pictures(
        sha256=tuple(example.sha256 for example in examples),
        groups=np.array([example.group for example in examples], np.int64),
        sources=tuple(example.source for example in examples),
        megapixels=np.array([example.width * example.height / 1e6 for example in examples]),
        brightness=np.array([example.brightness for example in examples], np.float64),
    )
