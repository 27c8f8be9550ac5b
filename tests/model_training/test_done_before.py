"""Commands that a schedule may run twice, and the decisions that it hands them."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from model_training.cli.main import main
from model_training.config import Config, ConfigError, DecisionsSource, with_decisions
from model_training.mlflow_runtime import client
from tests.plugins.colour_runs import toy_data, write_colour_run
from tests.plugins.finished_run import write_exported_version, write_finished_run
from tests.plugins.toy_pictures import LABELS, ToyPictures


def test_a_version_that_is_registered_already_is_the_answer_where_once_is_enough(
    local_mlflow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"tagger-{uuid4().hex[:8]}"
    run = write_finished_run(tmp_path / "run")
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("toy-tagger", name))
    version = write_exported_version(tmp_path / "3", 0.125)
    words = ["register", "--run", str(run), "--model", str(version), "--json"]

    assert main([*words, "--once"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["name"], first["version"], first["uri"]) == (name, 1, f"models:/{name}/1")
    assert main([*words, "--once"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert main(words) == 2
    assert "registered already, as version 1" in capsys.readouterr().err
    assert len(client().search_model_versions(f"name = '{name}'")) == 1


# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_version_that_is_exported_already_stays_as_it_is_where_once_is_enough(
    toy_pictures: ToyPictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, prepared = toy_data(tmp_path / "prepared", toy_pictures)
    run = write_colour_run(tmp_path / "run", config, prepared)
    version = tmp_path / "models" / "tagger" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"kept")
    words = ["export", "--run", str(run), "--to", str(tmp_path / "models")]

    assert main([*words, "--version", "1", "--once"]) == 0
    assert "is there already" in capsys.readouterr().out
    assert (version / "saved_model.pb").read_bytes() == b"kept"
    assert main([*words, "--once"]) == 2
    assert "--once needs --version" in capsys.readouterr().err


def config(*kinds: str) -> Config:
    sources = {
        "folder": {"kind": "folder", "folder": "pictures"},
        "decisions": {"kind": "decisions", "name": "ours", "file": "old.jsonl", "images": "old"},
    }
    return Config.model_validate({"name": "toy", "data": {"sources": [sources[kind] for kind in kinds]}})


def test_an_export_takes_the_place_of_the_decisions_that_the_configuration_names() -> None:
    changed = with_decisions(config("decisions", "folder"), Path("/export"))
    first, second = changed.data.sources
    assert first == DecisionsSource(
        kind="decisions", name="ours", file=Path("/export/decisions.jsonl"), images=Path("/export/pictures")
    )
    assert second.kind == "folder"


def test_an_export_comes_after_the_other_sources_where_there_are_no_decisions_yet() -> None:
    changed = with_decisions(config("folder"), Path("/export"))
    assert [source.kind for source in changed.data.sources] == ["folder", "decisions"]


def test_two_sources_of_decisions_leave_open_which_is_meant() -> None:
    with pytest.raises(ConfigError, match="which of the sources"):
        with_decisions(config("decisions", "decisions"), Path("/export"))


def test_the_command_line_names_the_export(
    toy_pictures: ToyPictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "name: toy\ndata: {sources: [{kind: decisions, file: none.jsonl, images: none}]}\ninput: {size: 32}\n"
    )
    words = ["prepare", "--config", str(path), "--to", str(tmp_path / "prepared")]
    assert main([*words, "--decisions", str(toy_pictures.decisions.parent)]) == 0
    found = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    assert sorted(found["labels"]) == sorted(LABELS)
    assert main(words) == 2
    assert "none.jsonl" in capsys.readouterr().err
