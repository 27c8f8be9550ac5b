"""The controller with a real model server and a real registry; the catalogue is a stand-in."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from model_training.mlflow_runtime import client, store_exists
from model_training.rollout.acts import Act, Idle, Label, Wait
from model_training.rollout.aliases import MlflowRegistry, RegistryDownError
from tests.plugins.model_server import REPOSITORY, ModelServer, serving
from tests.plugins.processes import stopped, wait_for
from tests.plugins.rollout_scene import WITHIN_S, Scene, scene, tell, tiny_version
from tests.plugins.tiny_models import write_tiny_model


@pytest.fixture(scope="module")
def models_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rollout") / "models.config"


@pytest.fixture(scope="module")
def server(models_config: Path) -> Iterator[ModelServer]:
    """One for all tests of this file: each adds a model of its own to its ``models.config``."""
    base = models_config.parent / "other"
    write_tiny_model(base / "1", 0.5)
    options = ("--models-config", str(models_config), "--base-path", str(base), "--model-name", "other")
    with serving(base, models_config.parent, *options) as server:
        yield server


@pytest.fixture
def model(server: ModelServer, models_config: Path, local_mlflow: Path, tmp_path: Path) -> Iterator[Scene]:
    client()  # makes the store
    with scene(server, models_config, tmp_path) as model:
        yield model


@pytest.fixture
def started(model: Scene) -> Scene:
    """Version 1 is champion."""
    model.settle()
    return model


@pytest.fixture
def challenged(started: Scene) -> Scene:
    """Version 2 is challenger."""
    started.set_alias("challenger", started.register(tiny_version(0.2)))
    started.settle()
    return started


@pytest.fixture
def promoted(challenged: Scene) -> Scene:
    """Version 2 is champion, and version 1 its predecessor."""
    challenged.catalogue.ask("promote", 2)
    challenged.settle()
    return challenged


# ------------------------------------------------------------------ forth and back


def test_what_is_served_is_registered_labelled_and_reported(started: Scene) -> None:
    assert started.answers() == {"champion": 0.1, "challenger": 0.1, "predecessor": 0.1}
    assert started.aliases() == {"champion": 1}
    assert started.tags(1)["vitrine.served_as"] == "1"
    assert started.catalogue.numbers() == {"champion": 1, "challenger": None, "predecessor": None}
    told = started.catalogue.model(1)
    assert (told["name"], told["registry_version"]) == ("tiny", 1)
    assert told["vocabulary_id"] == "vocabulary-0.1"
    assert [tag["slug"] for tag in told["vocabulary"]] == ["first", "second"]
    assert started.catalogue.refreshed == [1]


def test_a_challenger_is_published_loaded_checked_and_labelled(challenged: Scene) -> None:
    assert challenged.answers() == {"champion": 0.1, "challenger": 0.2, "predecessor": 0.1}
    assert challenged.catalogue.numbers() == {"champion": 1, "challenger": 2, "predecessor": None}
    assert challenged.catalogue.refreshed == [1]
    assert challenged.versions() == ["1", "2"]


def test_a_promotion_and_a_roll_back_end_where_they_should(
    promoted: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert promoted.answers() == {"champion": 0.2, "challenger": 0.2, "predecessor": 0.1}
    assert promoted.aliases() == {"champion": 2}
    assert promoted.catalogue.numbers() == {"champion": 2, "challenger": None, "predecessor": 1}
    assert promoted.catalogue.steps[0]["state"] == "done"
    assert promoted.catalogue.refreshed == [1, 2]

    step = promoted.catalogue.roll_back()
    with monkeypatch.context() as nobody:
        # MLflow is down, and does not hold it up.
        nobody.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        nobody.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        promoted.settle()
    assert step["state"] == "done"
    assert promoted.answers() == {"champion": 0.1, "challenger": 0.1, "predecessor": 0.1}
    promoted.until_loaded(1)
    assert promoted.aliases() == {"champion": 2}

    promoted.settle()
    assert promoted.aliases() == {"champion": 1}
    assert "vitrine.withdrawn" in promoted.tags(2)
    assert promoted.catalogue.numbers() == {"champion": 1, "challenger": None, "predecessor": None}


def test_the_first_champion_of_the_registry_is_published_where_nothing_was_served(model: Scene) -> None:
    shutil.rmtree(model.base)
    model.set_alias("champion", model.register(tiny_version(0.2)))
    model.settle()
    assert model.answers() == {"champion": 0.2, "challenger": 0.2, "predecessor": 0.2}
    assert model.catalogue.numbers() == {"champion": 1, "challenger": None, "predecessor": None}
    assert model.catalogue.steps == []


def test_a_number_that_is_taken_at_the_base_path_is_not_used_again(started: Scene) -> None:
    started.publish(2, 0.5)
    started.set_alias("challenger", started.register(tiny_version(0.2)))
    started.settle()
    assert started.tags(2)["vitrine.served_as"] == "3"
    assert started.catalogue.numbers()["challenger"] == 3


def test_a_version_that_lies_at_the_base_path_already_is_not_published_twice(started: Scene) -> None:
    started.publish(7, 0.2)
    started.set_alias("challenger", started.register(tiny_version(0.2)))
    started.settle()
    assert started.catalogue.numbers()["challenger"] == 7
    assert started.versions() == ["1", "7"]


# ------------------------------------------------------------------ unfit versions


def damaged(tmp_path: Path, how: str) -> Path:
    folder = shutil.copytree(tiny_version(0.2), tmp_path / "damaged" / "2")
    golden = folder / "assets.extra" / "golden.npz"
    if how == "answers otherwise":
        with np.load(golden) as arrays:
            np.savez(golden, **{**arrays, "scores": 1 - arrays["scores"]})
    elif how == "has no golden request":
        golden.unlink()
    else:
        (folder / "saved_model.pb").write_bytes(b"not a model")
    return folder


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("answers otherwise", "golden request got a score that differs"),
        ("has no golden request", "no golden request"),
        ("cannot be loaded", "cannot load"),
    ],
)
def test_an_unfit_version_is_never_labelled_and_may_be_tried_again(
    started: Scene, tmp_path: Path, how: str, why: str
) -> None:
    number = started.register(damaged(tmp_path, how))
    started.set_alias("challenger", number)
    started.settle()
    assert why in started.tags(number)["vitrine.failed"]
    assert started.aliases() == {"champion": 1}
    assert started.answers()["challenger"] == 0.1
    started.until_loaded(1)

    shutil.rmtree(started.base / "2")
    shutil.copytree(tiny_version(0.2), started.base / "2")
    started.set_alias("challenger", number)
    started.settle()
    assert started.answers()["challenger"] == 0.2
    assert "vitrine.failed" not in started.tags(number)


def test_artifacts_that_are_not_what_was_registered_are_not_published(started: Scene) -> None:
    number = started.register(tiny_version(0.2), content_sha256="0" * 64)
    started.set_alias("challenger", number)
    started.settle()
    assert "not what was registered" in started.tags(number)["vitrine.failed"]
    assert started.versions() == ["1"]


def test_a_store_that_somebody_is_making_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert not store_exists()
    (tmp_path / "mlflow").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as half:
        half.execute("CREATE TABLE alembic_version (version_num TEXT)")
        half.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        half.commit()
    assert store_exists()
    with pytest.raises(RegistryDownError, match="being made"):
        MlflowRegistry("tagger").look()
    with closing(sqlite3.connect(tmp_path / "mlflow" / "mlflow.db")) as half:
        assert half.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_a_promotion_of_an_unfit_version_fails_with_the_reason(started: Scene, tmp_path: Path) -> None:
    number = started.register(damaged(tmp_path, "answers otherwise"), **{"vitrine.force": "in a hurry"})
    started.set_alias("champion", number)
    started.settle()
    assert started.aliases() == {"champion": 1}
    assert started.catalogue.steps == []
    assert started.answers()["champion"] == 0.1


# ------------------------------------------------------------------ aliases that people move


def test_a_champion_alias_that_somebody_moved_passes_the_gate_or_is_put_back(started: Scene) -> None:
    started.catalogue.gate = ["Only 3 pictures were answered by both.", "Nobody reviewed them."]
    number = started.register(tiny_version(0.2))
    started.set_alias("champion", number)
    started.settle()
    assert started.aliases() == {"champion": 1}
    assert "Nobody reviewed them." in started.tags(number)["vitrine.refused"]
    assert started.answers()["champion"] == 0.1
    started.until_loaded(1)

    started.catalogue.gate = []
    started.set_alias("champion", number)
    started.settle()
    assert started.aliases() == {"champion": 2}
    assert started.answers() == {"champion": 0.2, "challenger": 0.2, "predecessor": 0.1}
    assert started.catalogue.steps[0]["source"] == "registry"
    assert "vitrine.refused" not in started.tags(number)


def test_force_with_a_reason_passes_the_gate_once(started: Scene) -> None:
    started.catalogue.gate = ["No."]
    number = started.register(tiny_version(0.2), **{"vitrine.force": "the old one is worse"})
    started.set_alias("champion", number)
    started.settle()
    assert started.answers()["champion"] == 0.2
    (step,) = started.catalogue.steps
    assert (step["forced"], step["reason"]) == (True, "the old one is worse")
    assert "vitrine.force" not in started.tags(number)
    started.catalogue.roll_back()
    started.settle()
    assert started.aliases() == {"champion": 1}


def test_a_challenger_alias_that_is_taken_away_takes_the_label_along(challenged: Scene) -> None:
    challenged.set_alias("challenger", 1)
    challenged.settle()
    assert challenged.answers()["challenger"] == 0.1
    assert challenged.catalogue.numbers()["challenger"] is None
    challenged.until_loaded(1)


# ------------------------------------------------------------------ crashes and outages


def test_a_controller_that_dies_after_each_of_its_deeds_gets_to_the_same_end(model: Scene) -> None:
    deeds: list[Act] = []

    def work() -> None:
        def is_idle() -> bool:
            deeds.append(model.step())
            return deeds[-1] == Idle()

        wait_for(is_idle, WITHIN_S, f"an end: {deeds}")

    work()
    model.set_alias("challenger", model.register(tiny_version(0.2)))
    work()
    model.catalogue.ask("promote", 2)
    work()
    assert tell(model) == {
        "answers": {"champion": 0.2, "challenger": 0.2, "predecessor": 0.1},
        "aliases": {"champion": 2},
        "told": {"champion": 2, "challenger": None, "predecessor": 1},
        "steps": ["done"],
        "versions": ["1", "2"],
    }
    assert sum(isinstance(deed, Label) for deed in deeds) == 2


def test_a_controller_that_is_killed_between_publishing_and_labelling_is_made_up_for(
    started: Scene, tmp_path: Path
) -> None:
    started.set_alias("challenger", started.register(tiny_version(0.2)))
    command = [sys.executable, "-m", "model_training", "controller", *started.options()]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)
    with stopped(process):
        wait_for(lambda: (started.base / "2").exists() or process.poll() is not None, WITHIN_S, "version 2")
        process.kill()
        process.wait()
    assert started.catalogue.numbers()["challenger"] is None, (tmp_path / "log").read_text()
    started.settle()
    assert started.answers()["challenger"] == 0.2
    assert started.catalogue.numbers()["challenger"] == 2
    assert started.versions() == ["1", "2"]


def test_it_waits_for_a_catalogue_that_is_down_or_lets_it_not_in(model: Scene) -> None:
    model.settle()
    model.catalogue.down = True
    assert model.step() == Wait("the catalogue")
    model.catalogue.down = False
    model.catalogue.token_file.write_text("another")
    assert model.step() == Wait("the catalogue")
    assert model.answers()["champion"] == 0.1


def test_it_waits_for_a_model_server_that_is_down(challenged: Scene) -> None:
    up, challenged.servers = challenged.servers, "127.0.0.1:9"
    challenged.catalogue.ask("promote", 2)
    waited = [challenged.step() for _ in range(5)]
    assert isinstance(waited[-1], Wait)
    assert challenged.catalogue.numbers()["champion"] == 1
    challenged.servers = up
    challenged.settle()
    assert challenged.catalogue.numbers()["champion"] == 2


def test_without_a_registry_what_is_served_is_reported_and_neither_mlflow_nor_tensorflow_is_loaded(
    model: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))
    words = ["controller", "--once", *model.options()]
    program = (
        "import sys\n"
        "from model_training.cli.main import main\n"
        f"status = main({words!r})\n"
        "print({'mlflow', 'tensorflow'} & sys.modules.keys())\n"
        "sys.exit(status)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("set()\n")
    assert done.stderr.count("there is no model registry yet") == 1
    assert model.catalogue.numbers() == {"champion": 1, "challenger": None, "predecessor": None}
    assert model.catalogue.model(1)["registry_version"] is None
    assert not (tmp_path / "mlflow").exists()
