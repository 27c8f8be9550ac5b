"""Runs in MLflow, in the store that needs no server."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from model_training.config import Config
from model_training.mlflow_runtime import artifact_location, client, tracking_uri
from model_training.tracking import MlflowTracker, UnknownRunError, parameters, remember_run, remembered_run

CONFIG = {"name": "toy", "data": {"sources": [{"kind": "folder", "folder": "pictures"}]}}


def run_of(tracker: MlflowTracker) -> Any:
    return client().get_run(tracker.run_id)


def test_a_run_keeps_what_it_is_told(local_mlflow: Path, tmp_path: Path) -> None:
    report = tmp_path / "evaluation"
    (report / "plots").mkdir(parents=True)
    (report / "plots" / "loss.svg").write_text("<svg/>")
    with MlflowTracker("toys", name="first") as tracker:
        tracker.params({"input.size": 64, **{f"p{number}": number for number in range(150)}})
        tracker.metrics({"loss": 0.5, "validation_map": math.nan}, step=1)
        tracker.metrics({"loss": 0.25}, step=2)
        tracker.tags({"data_hash": "abc"})
        tracker.artifact(report, "evaluation")
        assert run_of(tracker).info.status == "RUNNING"

    run = run_of(tracker)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert run.data.params["input.size"] == "64"
    assert len(run.data.params) == 151
    assert run.data.metrics == {"loss": 0.25}
    assert [each.step for each in client().get_metric_history(run.info.run_id, "loss")] == [1, 2]
    assert run.data.tags["data_hash"] == "abc"
    assert list(local_mlflow.rglob("evaluation/plots/loss.svg"))


def test_a_run_that_fails_is_marked_as_failed_and_the_error_goes_on(local_mlflow: Path) -> None:
    tracker = MlflowTracker("toys", name="broken")

    def failing() -> None:
        with tracker:
            tracker.tags({"data_hash": "abc"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert run_of(tracker).info.status == "FAILED"


def test_a_run_that_is_interrupted_is_marked_as_killed_and_can_be_gone_on_with(
    local_mlflow: Path, tmp_path: Path
) -> None:
    tracker = MlflowTracker("toys", name="long", folder=tmp_path)

    def interrupted() -> None:
        with tracker:
            tracker.params({"epochs": 2})
            tracker.metrics({"loss": 1.0}, step=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert run_of(tracker).info.status == "KILLED"

    with MlflowTracker("toys", name="long", folder=tmp_path, resume=True) as resumed:
        resumed.params({"epochs": 2, "more": 1})
        resumed.metrics({"loss": 0.5}, step=2)

    run = run_of(resumed)
    assert run.info.run_id == tracker.run_id
    assert (run.info.status, run.data.params, run.data.metrics) == (
        "FINISHED",
        {"epochs": "2", "more": "1"},
        {"loss": 0.5},
    )


def test_a_new_run_in_the_folder_of_another_is_another_run(local_mlflow: Path, tmp_path: Path) -> None:
    def noted(*, resume: bool) -> str:
        with MlflowTracker("toys", name="x", folder=tmp_path, resume=resume) as tracker:
            tracker.tags({"data_hash": "abc"})
        assert remembered_run(tmp_path) == tracker.run_id
        return tracker.run_id

    first = noted(resume=True)
    assert noted(resume=True) == first
    assert noted(resume=False) != first


def test_what_is_refused_before_anything_is_noted_leaves_no_run(local_mlflow: Path, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), MlflowTracker("never", name="x", folder=tmp_path):
        raise ZeroDivisionError
    assert client().get_experiment_by_name("never") is None
    assert remembered_run(tmp_path) is None


def test_a_run_that_the_store_does_not_have_cannot_be_gone_on_with(
    local_mlflow: Path, tmp_path: Path
) -> None:
    remember_run(tmp_path, "0123456789abcdef0123456789abcdef")
    with (
        MlflowTracker("toys", name="x", folder=tmp_path, resume=True) as tracker,
        pytest.raises(UnknownRunError, match="MLFLOW_TRACKING_URI"),
    ):
        tracker.tags({"data_hash": "abc"})


def test_runs_are_kept_below_the_home_of_vitrine_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert artifact_location() == f"file://{tmp_path}/mlflow/artifacts"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert tracking_uri() == "https://mlflow.example.org"
    assert artifact_location() is None


def test_every_value_of_a_configuration_is_a_parameter_but_the_search() -> None:
    found = parameters(Config.model_validate({**CONFIG, "search": {"parameters": {"input.size": [64, 96]}}}))
    assert found["input.size"] == 260
    assert found["training.head.epochs"] == 10
    assert '"kind": "folder"' in str(found["data.sources"])
    assert not [name for name in found if name.startswith("search")]
