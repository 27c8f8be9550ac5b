"""The pipeline of ``dvc.yaml``, in a copy of the repository with the toy pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from model_training.config import load_config
from model_training.mlflow_runtime import client
from model_training.registry.register import content_hash, read_registration, register
from tests.plugins.object_store import ObjectStore
from tests.plugins.toy_pictures import ToyPictures
from tests.plugins.toy_project import write_toy_project

_ROOT = Path(__file__).resolve().parents[2]
_COPIED = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml")
_WITHIN_S = 600


class Project:
    """A clone of somebody who trains, with a git history of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GIT_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "DVC_GLOBAL_CONFIG_DIR": str(folder / "home"),
            "DVC_SYSTEM_CONFIG_DIR": str(folder / "home"),
            "DVC_SITE_CACHE_DIR": str(folder / "home" / "site"),
        }

    def does(self, *command: str) -> str:
        """Run a command there; returns what it said."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_WITHIN_S,
        )
        assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}"
        return ended.stdout

    def dvc(self, *words: str) -> str:
        return self.does(sys.executable, "-m", "dvc", *words)


@pytest.fixture
def project(tmp_path: Path, toy_pictures: ToyPictures) -> Project:
    folder = tmp_path / "project"
    for name in _COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_ROOT / name, folder / name)
    for package in ("model_training", "pipeline"):
        shutil.copytree(_ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    write_toy_project(folder, toy_pictures)
    project = Project(folder)
    project.does("git", "init", "--quiet")
    project.does("git", "add", "--all")
    author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    project.does("git", *author, "commit", "--quiet", "--message", "Toy")
    return project


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_pipeline_runs_once_and_its_results_are_shared_through_s3(
    local_mlflow: Path, project: Project, object_store: ObjectStore
) -> None:
    project.dvc("repro")
    again = project.dvc("repro")
    assert "Data and pipelines are up to date" in again
    assert again.count("didn't change, skipping") == 4
    (shown,) = json.loads(project.dvc("metrics", "show", "--json")).values()
    measured = shown["data"]["var/training/run/evaluation/metrics.json"]["data"]
    assert measured["map"]["value"] > 0.5

    work = project.folder / "var" / "training"
    version = work / "models" / "toy-tagger" / "1"
    made = register(read_registration(work / "run", version), Console(quiet=True))
    data = json.loads((work / "prepared" / "dataset.json").read_text())
    registered = client().get_model_version(made.name, str(made.version))
    assert registered.tags["data_hash"] == data["data_hash"]
    assert registered.tags["git_commit"] == project.does("git", "rev-parse", "HEAD").strip()

    store = object_store.environment()
    bucket = object_store.make_bucket()
    # As `dvc remote add --local` and `dvc remote modify --local` write it.
    (project.folder / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = data\n['remote \"data\"']\n    url = s3://{bucket}/dvc\n"
        f"    endpointurl = {store['VITRINE_S3_ENDPOINT']}\n"
    )
    project.environment |= {
        "AWS_ACCESS_KEY_ID": store["VITRINE_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": store["VITRINE_S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": store["VITRINE_S3_REGION"],
    }
    project.dvc("push")
    content = content_hash(version)
    shutil.rmtree(work)
    shutil.rmtree(project.folder / ".dvc" / "cache")
    project.dvc("pull")
    assert content_hash(version) == content
    assert "Data and pipelines are up to date" in project.dvc("status")


def test_every_section_that_a_stage_depends_on_stands_in_the_configuration_of_the_pipeline() -> None:
    stages = yaml.safe_load((_ROOT / "dvc.yaml").read_text())["stages"]
    content = yaml.safe_load((_ROOT / "params.yaml").read_text())
    wanted = {name for stage in stages.values() for name in stage.get("params", [])}
    assert wanted <= set(content)
    assert load_config(_ROOT / "params.yaml").name == content["name"]


def test_the_settings_of_dvc_report_nothing_and_name_no_store() -> None:
    settings = (_ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in settings
    assert "check_update = false" in settings
    assert "url" not in settings
