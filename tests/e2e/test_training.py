"""From labelled pictures to a version that answers in the running system."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model_training.mlflow_runtime import load_mlflow
from tests.plugins.system import System, wait_for
from tests.plugins.toy_pictures import LABELS, ToyPictures
from tests.plugins.toy_project import write_toy_project

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

_ROOT = Path(__file__).resolve().parents[2]


def tags(system: System, name: str) -> set[str]:
    """Slugs of the tags of a picture."""
    found = system.api().get(f"{system.address}/api/v1/assets/").json()["results"]
    (asset,) = [each for each in found if each["filename"] == name]
    assert asset["state"] == "tagged"
    return {tag["slug"] for tag in asset["tags"]}


def rollout(system: System) -> dict[str, Any]:
    """What is in service."""
    return dict(system.api().get(f"{system.address}/api/v1/rollout/").json())


def training(system: System, *words: str) -> None:
    """A command of ``model_training`` beside the running system."""
    done = subprocess.run(
        [sys.executable, "-m", "model_training", *words],
        cwd=_ROOT,
        env=system.environment
        | {
            "VITRINE_CATALOGUE_URL": system.address,
            "VITRINE_CATALOGUE_TOKEN_FILE": str(system.home / "run" / "controller_token"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_command_trains_a_model_that_then_answers_in_the_running_system(
    own_system: System, toy_pictures: ToyPictures, tmp_path: Path
) -> None:
    config = write_toy_project(tmp_path / "project", toy_pictures)
    config.write_text(config.read_text().replace("registered_model: toy-tagger", "registered_model: tagger"))
    run, models = tmp_path / "run", tmp_path / "models"
    command = [sys.executable, "-m", "model_training", "build", "--config", str(config), "--to", str(run)]
    command += ["--models", str(models)]
    # Beside the system's start, which takes as long.
    with (tmp_path / "build.log").open("w") as log:
        build = subprocess.Popen(
            command, cwd=_ROOT, env=own_system.environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        own_system.start()
        assert build.wait(600) == 0, (tmp_path / "build.log").read_text()
    finally:
        build.kill()
        build.wait()
    data = json.loads((run / "prepared" / "dataset.json").read_text())
    pictures = {
        split: [
            run / "prepared" / each["path"]
            for each in data["examples"]
            if each["split"] == split and "red-disc" in each["positive"]
        ]
        for split in ("train", "test")
    }
    first = pictures["train"][0]
    own_system.cli("import", str(first), "--wait")
    assert not tags(own_system, first.name) & set(LABELS)

    # The build has registered it; "--once" takes that for done, and makes it the challenger.
    version = models / "tagger" / "1"
    training(own_system, "register", "--run", str(run), "--model", str(version), "--once", "--challenge")
    wait_for(
        lambda: (rollout(own_system)["challenger"] or {}).get("name") == "toy",
        within_s=240,
        what=lambda: (own_system.home / "logs" / "controller.log").read_text()[-4000:],
    )
    number = rollout(own_system)["challenger"]["version"]
    training(own_system, "promote", str(number), "--force", "--reason", "nobody has decided yet", "--wait")
    assert rollout(own_system)["champion"]["version"] == number
    held_out = tmp_path / "held out"
    held_out.mkdir()
    for picture in pictures["test"]:
        shutil.copy(picture, held_out)
    own_system.cli("import", str(held_out), "--wait")
    answers = [tags(own_system, picture.name) for picture in pictures["test"]]
    assert all(answer <= set(LABELS) for answer in answers), answers
    right = sum("red-disc" in answer for answer in answers)
    assert right > len(answers) / 2, answers

    registry = load_mlflow().MlflowClient(f"sqlite:///{own_system.home / 'mlflow' / 'mlflow.db'}")
    served_as = f"tags.`vitrine.served_as` = '{number}'"
    (registered,) = registry.search_model_versions(
        f"name = 'tagger' AND tags.data_hash = '{data['data_hash']}' AND {served_as}"
    )
    assert registered.run_id == json.loads((run / "mlflow.json").read_text())["run_id"]
    assert registry.get_run(registered.run_id).data.metrics["test_map"] > 0.5
