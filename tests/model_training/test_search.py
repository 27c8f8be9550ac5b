"""The search of hyperparameters: what it accepts, how it goes on, how it runs side by side."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from model_training.config import Config, ConfigError, load_config
from model_training.datasets.prepare import prepare
from model_training.mlflow_runtime import client
from model_training.search.run import Found, SearchError, search
from model_training.search.space import changed, read_space
from model_training.tracking import remembered_run
from tests.plugins import trial_trainings
from tests.plugins.toy_pictures import ToyPictures
from tests.plugins.toy_project import write_toy_project
from tests.plugins.trial_trainings import study_of

RATES = {"training.head.learning_rate": {"low": 1e-4, "high": 1.0, "log": True}}


def config(trials: int = 3, **parameters: Any) -> Config:
    return Config.model_validate(
        {
            "name": "toy",
            "data": {"sources": [{"kind": "folder", "folder": "pictures"}]},
            "search": {"trials": trials, "parameters": parameters or RATES},
        }
    )


def searched(to: Path, wanted: Config, train: Any = trial_trainings.peak, **options: Any) -> Found:
    return search(
        wanted, to, to, Console(quiet=True), train=train, **{"tracked": False, "jobs": 1, **options}
    )


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("training.head.speed", [1], "no such name"),
        ("data.split.seed", [1], "a search may change input, network, loss, training"),
        ("training.head", [1], "a whole section"),
        ("loss.kind", ["bce", "hinge"], "Input should be 'bce', 'focal' or 'asymmetric'"),
        ("loss.kind", {"low": 1, "high": 2}, "a range needs a number"),
        ("input.size", {"low": 16, "high": 64}, "greater than or equal to 32"),
        ("loss.gamma", {"low": 3, "high": 2}, "low is above high"),
        ("loss.gamma", {"low": 0, "high": 2, "log": True}, "log needs low above 0"),
        ("loss.gamma", {"low": 0, "hihg": 2}, "Extra inputs are not permitted"),
        ("loss.gamma", [], "at least 1 item"),
        ("loss.gamma", 2.0, "a list of values, or a range"),
    ],
)
def test_parameters_are_refused_before_anything_starts(
    tmp_path: Path, name: str, values: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        searched(tmp_path / "search", config(**{name: values}))
    assert name in str(raised.value)
    assert not (tmp_path / "search").exists()


def test_whole_numbers_stay_whole_and_texts_become_numbers() -> None:
    space = read_space(
        config(
            **{
                "input.size": {"low": 32, "high": 96, "step": 32},
                "training.head.learning_rate": ["1e-3"],
                "input.augment.flip": [True, False],
            }
        )
    )
    trial = optuna.trial.FixedTrial(
        {"input.size": 64, "training.head.learning_rate": "1e-3", "input.augment.flip": True}
    )
    made = changed(config(), {name: wanted.suggest(trial, name) for name, wanted in space.items()})
    assert made.input.size == 64
    assert type(made.input.size) is int
    assert made.training.head.learning_rate == 1e-3
    assert made.input.augment.flip is True


def test_the_best_configuration_is_written_and_can_be_trained_with(tmp_path: Path) -> None:
    found = searched(tmp_path, config(trials=12))
    assert (found.complete + found.pruned, found.config) == (12, tmp_path / "best.yaml")
    best = load_config(found.config)
    assert best.training.head.learning_rate == found.values["training.head.learning_rate"]
    assert found.value == pytest.approx(1 - abs(best.training.head.learning_rate - 0.01))
    assert found.value == max(each.value for each in study_of(tmp_path).trials if each.value is not None)
    assert (found.folder / "pid").exists()
    assert best.data == load_config(found.config).data
    assert best.search.parameters == {}


def test_the_same_seed_tries_the_same_values(tmp_path: Path) -> None:
    def tried(folder: Path) -> list[dict[str, Any]]:
        searched(folder, config(trials=4))
        return [each.params for each in study_of(folder).trials]

    first = tried(tmp_path / "a")
    assert tried(tmp_path / "b") == first
    assert len({each["training.head.learning_rate"] for each in first}) == 4


def test_hopeless_trials_are_ended_early(tmp_path: Path) -> None:
    found = searched(tmp_path, config(trials=6), trial_trainings.worse_each_time)
    assert (found.complete, found.pruned) == (4, 2)
    reached = [int((tmp_path / "trials" / f"{n:04}" / "epoch").read_text()) for n in range(6)]
    assert reached[:4] == [4] * 4
    assert max(reached[4:]) < 4


def test_an_interrupted_search_goes_on_where_it_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, config(trials=4), trial_trainings.interrupted)
    before = study_of(tmp_path).trials
    assert [each.state for each in before] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING]

    found = searched(tmp_path, config(trials=4))

    after = study_of(tmp_path).trials
    assert found.complete == 4
    assert [each.value for each in after[:2]] == [each.value for each in before[:2]]
    assert after[2].state is TrialState.FAIL
    assert after[3].params == before[2].params


def test_a_search_that_is_done_does_nothing_more_and_more_trials_can_be_asked_for(tmp_path: Path) -> None:
    searched(tmp_path, config(trials=2))
    assert searched(tmp_path, config(trials=2), trial_trainings.broken).complete == 2
    assert searched(tmp_path, config(trials=3)).complete == 3


def test_a_trial_that_fails_ends_the_search_and_is_made_up_for_later(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        searched(tmp_path, config(trials=2), trial_trainings.broken)
    assert searched(tmp_path, config(trials=2)).complete == 2


def test_a_folder_with_a_search_of_something_else_is_refused(tmp_path: Path) -> None:
    searched(tmp_path, config(trials=1))
    with pytest.raises(SearchError, match="another configuration"):
        searched(tmp_path, config(trials=1, **{"input.size": [64, 96]}))


def test_two_searches_in_one_folder_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "search.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SearchError, match="runs in"):
            searched(tmp_path, config(trials=1))


@pytest.mark.slow
def test_jobs_are_processes_that_share_the_trials_and_each_trial_is_a_run_below_that_of_the_search(
    local_mlflow: Path, tmp_path: Path
) -> None:
    found = searched(tmp_path, config(trials=5), trial_trainings.together, jobs=2, tracked=True)
    assert found.complete + found.pruned == 5
    assert len({path.read_text() for path in tmp_path.glob("trials/*/pid")}) == 2
    assert len(list(tmp_path.glob("trials/*.log"))) == 5

    parent = remembered_run(tmp_path)
    assert parent is not None
    run = client().get_run(parent)
    assert run.data.metrics == {"best_validation_map": found.value}
    assert run.info.status == "FINISHED"
    wanted = f"tags.`mlflow.parentRunId` = '{parent}'"
    trials = client().search_runs([run.info.experiment_id], wanted)
    assert sorted(each.data.tags["trial"] for each in trials) == list("01234")
    assert found.value == max(each.data.metrics["validation_map"] for each in trials)

    searched(tmp_path, config(trials=6), tracked=True)
    assert len(client().search_runs([run.info.experiment_id], wanted)) == 6


# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.slow
def test_a_trial_trains_on_the_prepared_data(tmp_path: Path, toy_pictures: ToyPictures) -> None:
    path = write_toy_project(tmp_path / "project", toy_pictures)
    small = path.read_text().replace("size: 64", "size: 32").replace("epochs: 8", "epochs: 1")
    path.write_text(small.replace("trials: 2", "trials: 1"))
    prepared = prepare(load_config(path), tmp_path / "prepared", Console(quiet=True)).folder
    found = search(load_config(path), prepared, tmp_path / "search", Console(quiet=True), tracked=False)
    history = json.loads((found.folder / "history.json").read_text())
    assert found.value == history[0]["validation_map"]
