"""Two evaluated runs side by side, through the command that people use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from model_training.cli.main import main
from model_training.datasets.errors import DataError
from model_training.evaluation.answers import Pictures, Predictions, answers_of, save_predictions
from model_training.evaluation.comparison import compare
from model_training.evaluation.tables import Table

COUNT = 300
LABELS = ("sea", "boat", "unicorn")


def predictions(noise: float) -> Predictions:
    """Of a model that is the worse the more noise it has. Of the first label not everything is known."""
    chance = np.random.default_rng(5)
    targets = chance.random((COUNT, len(LABELS))) < (0.4, 0.3, 0.01)
    known = np.ones_like(targets)
    known[::5, 0] = False
    logits = 2.0 * targets + noise * np.random.default_rng(6).normal(size=targets.shape)
    pictures = Pictures(
        sha256=tuple(f"{number:064x}" for number in range(COUNT)),
        groups=np.arange(COUNT) // 2,
        sources=tuple(("coco", "voc", "voc")[number % 3] for number in range(COUNT)),
        megapixels=np.full(COUNT, 0.3),
        brightness=np.linspace(0, 1, COUNT),
    )
    answers = answers_of(LABELS, targets, known, 1 / (1 + np.exp(-logits)))
    return Predictions(answers, logits, pictures)


def evaluated(folder: Path, made: Predictions) -> Path:
    """As much of a run as a comparison reads."""
    (folder / "evaluation").mkdir(parents=True)
    save_predictions(folder / "evaluation" / "predictions.npz", made)
    return folder


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "good", predictions(1))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return evaluated(tmp_path / "bad", predictions(4))


def cells(table: Table, row: str) -> dict[str, str]:
    (found,) = [each for each in table.rows if each[0] == row]
    return dict(zip(table.headings, found, strict=True))


def test_the_command_prints_a_table_by_source_and_one_for_each_label(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare-runs", "--run", str(good), "--with", str(bad), "--resamples", "20"]
    assert main([*words, "--label", "sea", "--label", "boat"]) == 0
    told = capsys.readouterr().out
    for text in ("Mean average precision", "'sea'", "'boat'", "coco", "voc", "good", "bad"):
        assert text in told


def test_a_run_differs_from_itself_by_nothing(good: Path) -> None:
    for table in compare(good, good, ["sea"], resamples=20):
        for row in table.rows:
            # Both runs have one name, so cells are found from behind.
            place = table.headings.index("difference")
            assert row[place : place + 2] == ("+0.000", "0.000 … 0.000")


def test_the_better_run_is_ahead_by_the_difference_of_the_average_precisions(good: Path, bad: Path) -> None:
    _, table = compare(good, bad, ["sea"], resamples=200)
    found = cells(table, "voc")
    voc = np.arange(COUNT) % 3 > 0
    precisions = {}
    for name, noise in (("good", 1), ("bad", 4)):
        answers = predictions(noise).answers
        rows = voc & answers.known[:, 0]
        precisions[name] = average_precision_score(answers.targets[rows, 0], answers.scores[rows, 0])
        assert found[name] == f"{precisions[name]:.3f}"
        assert found["with it"] == str(answers.targets[rows, 0].sum())
        assert found["without"] == str((~answers.targets[rows, 0]).sum())
    assert found["difference"] == f"{precisions['good'] - precisions['bad']:+.3f}"
    low, high = (float(end) for end in found["95 %"].split(" … "))
    assert 0 < low < precisions["good"] - precisions["bad"] < high < 1
    assert float(found["P, good"]) > float(found["P, bad"])


def test_the_other_way_round_the_difference_changes_its_sign(good: Path, bad: Path) -> None:
    (ahead,), (behind,) = (compare(*runs, [], resamples=20) for runs in ((good, bad), (bad, good)))
    for row in ("all", "coco", "voc"):
        first, second = cells(ahead, row), cells(behind, row)
        assert first["good"] == second["good"]
        assert float(first["difference"]) == -float(second["difference"]) > 0


def test_a_label_that_few_pictures_have_does_not_count_in_the_mean(good: Path, bad: Path) -> None:
    (table,) = compare(good, bad, [], resamples=20)
    assert cells(table, "all")["labels"] == "2"
    answers = predictions(1).answers
    each = [
        average_precision_score(answers.targets[rows, column], answers.scores[rows, column])
        for column in range(2)
        for rows in [answers.known[:, column]]
    ]
    assert cells(table, "all")["good"] == f"{np.mean(each):.3f}"


def test_a_label_is_also_told_without_the_source_that_shows_it_most(tmp_path: Path, good: Path) -> None:
    made = predictions(1)
    targets = made.answers.targets.copy()
    targets[::3, 1] = True
    targets[3, 1] = False
    run = evaluated(tmp_path / "run", replace(made, answers=replace(made.answers, targets=targets)))
    _, table = compare(run, run, ["boat"], resamples=20)
    assert [row[0] for row in table.rows] == ["all", "all but coco", "coco", "voc"]
    assert table.rows[1][1:] == table.rows[3][1:], "there are two sources"


def other_pictures(made: Predictions) -> Predictions:
    sha256 = ("f" * 64, *made.pictures.sha256[1:])
    return replace(made, pictures=replace(made.pictures, sha256=sha256))


def other_labels(made: Predictions) -> Predictions:
    return replace(made, answers=replace(made.answers, labels=("sea", "boat", "dragon")))


def other_truth(made: Predictions) -> Predictions:
    return replace(made, answers=replace(made.answers, targets=~made.answers.targets))


def less_known(made: Predictions) -> Predictions:
    known = made.answers.known.copy()
    known[1, 1] = False
    return replace(made, answers=replace(made.answers, known=known))


@pytest.mark.parametrize("other", [other_pictures, other_labels, other_truth, less_known])
def test_runs_that_were_measured_on_something_else_are_refused(
    good: Path, tmp_path: Path, other: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(other)
    strange = evaluated(tmp_path / "strange", other(predictions(1)))
    assert main(["compare-runs", "--run", str(good), "--with", str(strange)]) == 2
    assert "were not measured on the same pictures and labels" in capsys.readouterr().err


def test_a_label_that_nobody_measured_is_refused_by_name(
    good: Path, bad: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-runs", "--run", str(good), "--with", str(bad), "--label", "dragon"]) == 2
    assert "has no label dragon" in capsys.readouterr().err


def test_a_run_that_was_not_evaluated_is_refused(good: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not evaluated"):
        compare(good, tmp_path / "none", [], resamples=20)
