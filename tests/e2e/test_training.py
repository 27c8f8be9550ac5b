"""From labelled pictures to a version that answers in the running system."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from model_training.mlflow_runtime import client
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


def serves(system: System, version: str) -> bool:
    """Whether the model server answers with that version."""
    status = requests.get(f"{system.state()['model_server_rest']}/v1/models/tagger", timeout=10).json()
    states = {each["version"]: each["state"] for each in status["model_version_status"]}
    return states.get(version) == "AVAILABLE"


def publish(version: Path, base: Path) -> None:
    """As documented: written elsewhere, then renamed."""
    partial = base / f".{version.name}"
    shutil.copytree(version, partial)
    partial.rename(base / version.name)


def test_one_command_trains_a_model_that_then_answers_in_the_running_system(
    own_system: System, toy_pictures: ToyPictures, local_mlflow: Path, tmp_path: Path
) -> None:
    config = write_toy_project(tmp_path / "project", toy_pictures)
    run, models = tmp_path / "run", tmp_path / "models"
    command = [sys.executable, "-m", "model_training", "build", "--config", str(config), "--to", str(run)]
    command += ["--models", str(models), "--version", "2"]
    # Beside the system's start, which takes as long.
    with (tmp_path / "build.log").open("w") as log:
        build = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=subprocess.STDOUT)
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

    version = models / "toy-tagger" / "2"
    own_system.cli("register_model", str(version))
    publish(version, own_system.home / "models" / "tagger")

    wait_for(lambda: serves(own_system, "2"), within_s=240, what=lambda: "version 2 to answer")
    held_out = tmp_path / "held out"
    held_out.mkdir()
    for picture in pictures["test"]:
        shutil.copy(picture, held_out)
    own_system.cli("import", str(held_out), "--wait")
    answers = [tags(own_system, picture.name) for picture in pictures["test"]]
    assert all(answer <= set(LABELS) for answer in answers), answers
    right = sum("red-disc" in answer for answer in answers)
    assert right > len(answers) / 2, answers

    (registered,) = client().search_model_versions(
        f"name = 'toy-tagger' AND tags.data_hash = '{data['data_hash']}' AND tags.served_version = '2'"
    )
    assert registered.run_id == json.loads((run / "mlflow.json").read_text())["run_id"]
    assert client().get_run(registered.run_id).data.metrics["test_map"] > 0.5
