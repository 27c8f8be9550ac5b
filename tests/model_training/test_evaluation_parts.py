"""Slices, mistakes beside true labels, all measures together, and what people see of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from model_training.config import Evaluation
from model_training.evaluation import plots, tables
from model_training.evaluation.answers import (
    Pictures,
    Predictions,
    answers_of,
    load_predictions,
    save_predictions,
)
from model_training.evaluation.calibration import Calibration, calibrate
from model_training.evaluation.confusion import confusion, worst_pairs
from model_training.evaluation.measures import measure
from model_training.evaluation.report import Subject, write_report
from model_training.evaluation.slices import slices

LABELS = ("sea", "boat", "<b>cat</b>", "never-there")
NAMES = {"sea": "Sea", "boat": "Boat"}


def pictures(count: int, *, brightness: Any = None) -> Pictures:
    return Pictures(
        sha256=tuple(f"{number:064x}" for number in range(count)),
        groups=np.arange(count) // 2,
        sources=tuple(("coco", "voc")[number % 2] for number in range(count)),
        megapixels=np.full(count, 0.25),
        brightness=np.linspace(0, 1, count) if brightness is None else brightness,
    )


def evaluated(count: int = 240) -> tuple[Predictions, Calibration]:
    """Three labels that are told more or less well, and one that no picture has."""
    chance = np.random.default_rng(12)
    logits = chance.normal(-1, 3, (count, 4))
    targets = chance.random((count, 4)) < 1 / (1 + np.exp(-logits))
    targets[:, 3] = False
    known = chance.random((count, 4)) < 0.9
    calibration = calibrate(LABELS, logits, targets, known, precision=0.7)
    answers = answers_of(LABELS, targets, known, calibration.scores(logits))
    return Predictions(answers, logits, pictures(count)), calibration


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    return evaluated()[0]


@pytest.fixture(scope="module")
def measured(predictions: Predictions) -> dict[str, Any]:
    return measure(predictions, evaluated()[1], Evaluation(bootstrap=50, precision_at=(1, 3, 5)))


# ---------------------------------------------------------------- slices and mistakes


def test_every_picture_is_in_one_third_by_brightness_and_in_its_source() -> None:
    parts = slices(pictures(30))
    for by in ("brightness", "source"):
        assert (sum(part.rows.astype(int) for part in parts if part.by == by) == 1).all()
    assert [part.name for part in parts if part.by == "source"] == ["coco", "voc"]
    thirds = [part for part in parts if part.by == "brightness"]
    assert [int(part.rows.sum()) for part in thirds] == [10, 10, 10]
    assert thirds[0].name == "lowest third (0.00…0.31)"


def test_pictures_of_one_size_are_not_cut_into_thirds() -> None:
    parts = [part for part in slices(pictures(30)) if part.by == "size"]
    assert [part.rows.all() for part in parts] == [True]


def test_a_mistake_counts_where_another_label_is_true_and_this_one_known_to_be_absent() -> None:
    answers = answers_of(
        ("sea", "boat"),
        np.array([[1, 0], [1, 0], [1, 1], [1, 0], [0, 0]]),
        np.array([[1, 1], [1, 1], [1, 1], [1, 0], [1, 1]]),
        np.array([[0.9, 0.8], [0.9, 0.2], [0.9, 0.9], [0.9, 0.9], [0.6, 0.1]]),
    )
    counted = confusion(answers, np.array([0.5, 0.5]))
    # Two pictures of the sea are known to have no boat; one is taken for one. The fourth could not tell.
    assert (counted.mistakes[0, 1], counted.chances[0, 1]) == (1, 2)
    assert counted.rates()[0, 1] == 0.5
    assert np.isnan(counted.rates()[0, 0])


def test_the_worst_pair_says_how_much_likelier_the_mistake_becomes() -> None:
    # 20 pictures with the sea and 80 without, none with a boat: 10 of the former and 2 others are mistaken.
    targets = np.zeros((100, 2))
    targets[:20, 0] = 1
    scores = np.zeros((100, 2))
    scores[:10, 1] = scores[50:52, 1] = 0.9
    answers = answers_of(("sea", "boat"), targets, np.ones((100, 2)), scores)
    (pair,) = worst_pairs(answers, np.array([0.5, 0.5]))
    assert (pair.true, pair.shown, pair.mistakes, pair.rate) == ("sea", "boat", 10, 0.5)
    assert pair.lift == pytest.approx(0.5 / 0.12)


# ---------------------------------------------------------------- all measures


def test_measures_are_json_and_say_null_where_nothing_could_be_measured(measured: dict[str, Any]) -> None:
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    nothing = measured["per_label"][3]
    assert nothing["positives"] == 0
    assert nothing["ap"] == {"value": None, "low": None, "high": None}
    assert nothing["recall_at_precision"] is None
    assert not nothing["calibrated"]
    assert measured["labels_measured"] == 3


def test_every_headline_lies_in_its_interval(measured: dict[str, Any]) -> None:
    for name in ("map", "map_frequent", "micro_f1", "macro_f1", "recall_at_precision"):
        figure = measured[name]
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1, name
    assert list(measured["precision_at"]) == ["1", "3"], "of four labels there are no best five"


def test_the_accuracy_of_saying_no_stands_beside_any_accuracy(measured: dict[str, Any]) -> None:
    assert 0.5 < measured["accuracy_all_negative"] < measured["accuracy"] < 1
    names = [row[0] for row in tables.summary(measured).rows]
    assert names.index("accuracy of never showing anything") == names.index("accuracy") + 1


def test_the_same_pictures_are_measured_the_same_again(
    predictions: Predictions, measured: dict[str, Any]
) -> None:
    again = measure(predictions, evaluated()[1], Evaluation(bootstrap=50, precision_at=(1, 3, 5)))
    assert again == measured


def test_without_resamples_intervals_are_null(predictions: Predictions) -> None:
    plain = measure(predictions, evaluated()[1], Evaluation(bootstrap=0))
    assert plain["map"]["value"] > 0.5
    assert plain["map"]["low"] is plain["per_label"][0]["ap"]["low"] is None
    assert tables.summary(plain).rows[0][2] == tables.NOTHING
    assert plots.average_precision_plot(plain["per_label"], NAMES) is not None


def test_one_picture_of_which_nothing_is_known_can_still_be_reported(tmp_path: Path) -> None:
    answers = answers_of(LABELS, np.zeros((1, 4)), np.zeros((1, 4)), np.full((1, 4), 0.3))
    found = measure(
        Predictions(answers, np.zeros((1, 4)), pictures(1)), evaluated()[1], Evaluation(bootstrap=10)
    )
    assert found["map"]["value"] is found["accuracy"] is found["calibration"]["pooled_error"] is None
    drawn = plots.evaluation_plots(answers, np.full(4, 0.5), found, NAMES)
    write_report(
        tmp_path / "report.html",
        Subject("toy", NAMES, {}),
        found,
        [(plot, plot.write(tmp_path)) for plot in drawn],
    )
    assert "None." in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_predictions_come_back_from_their_file(tmp_path: Path, predictions: Predictions) -> None:
    save_predictions(tmp_path / "predictions.npz", predictions)
    again = load_predictions(tmp_path / "predictions.npz")
    assert again.answers.labels == LABELS
    assert again.pictures.sha256 == predictions.pictures.sha256
    assert again.pictures.sources == predictions.pictures.sources
    for name in ("targets", "known", "scores"):
        assert np.array_equal(getattr(again.answers, name), getattr(predictions.answers, name))
    assert again.logits == pytest.approx(predictions.logits, rel=1e-6)


# ---------------------------------------------------------------- the report


@pytest.fixture(scope="module")
def report(
    tmp_path_factory: pytest.TempPathFactory, predictions: Predictions, measured: dict[str, Any]
) -> Path:
    folder = tmp_path_factory.mktemp("report")
    drawn = plots.evaluation_plots(predictions.answers, evaluated()[1].thresholds(), measured, NAMES)
    path = folder / "report.html"
    subject = Subject("toy-tagger", NAMES, {"data": "toy, 0123456789ab", "git commit": "unknown"})
    write_report(path, subject, measured, [(plot, plot.write(folder)) for plot in drawn])
    return path


def test_the_report_shows_its_plots_and_tables_without_asking_anybody(
    report: Path, measured: dict[str, Any], page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h1").inner_text() == "toy-tagger"
    assert page.locator(".figure b").first.inner_text() == f"{measured['map']['value']:.3f}"
    images = page.locator("figure img")
    assert images.count() == 4
    assert all(images.nth(number).evaluate("it => it.naturalWidth") > 500 for number in range(4))
    # A name is text, whatever is in it.
    assert page.get_by_role("cell", name="<b>cat</b>").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_can_be_read_in_light_and_dark_and_on_a_telephone(
    scheme: Any, report: Path, page: Page
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    ink, paper = (
        page.locator("section").first.evaluate(f"it => getComputedStyle(it).{name}")
        for name in ("color", "backgroundColor")
    )
    difference = brightness(ink) - brightness(paper)
    assert difference > 0.6 if scheme == "dark" else difference < -0.6


def brightness(colour: str) -> float:
    red, green, blue = (int(number) for number in re.findall(r"\d+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_a_plot_is_written_the_same_again(tmp_path: Path, predictions: Predictions) -> None:
    first = plots.reliability_plot(predictions.answers).write(tmp_path).read_bytes()
    assert plots.reliability_plot(predictions.answers).write(tmp_path).read_bytes() == first
