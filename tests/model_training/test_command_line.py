"""``python -m model_training``: what it does without doing it, and how it ends when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_training.cli.main import main
from tests.plugins.finished_run import write_exported_version, write_finished_run
from tests.plugins.toy_pictures import ToyPictures
from tests.plugins.toy_project import write_toy_project


@pytest.fixture
def config(tmp_path: Path, toy_pictures: ToyPictures) -> Path:
    return write_toy_project(tmp_path / "project", toy_pictures)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["prepare"], "would prepare this in"),
        (["train"], "would train into"),
        (["search", "--jobs", "2"], "would make 2 trials in"),
        (["build"], "register a version of toy-tagger"),
    ],
)
def test_a_dry_run_looks_at_every_picture_and_writes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    before = files(config.parent)
    words = [*command, "--config", str(config), "--to", str(config.parent / "out"), "--dry-run"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "80 pictures" in told
    assert said in told
    assert "nothing was written" in told
    assert files(config.parent) == before


def test_a_dry_run_on_prepared_data_says_how_it_would_train(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "prepared"
    assert main(["prepare", "--config", str(config), "--to", str(data)]) == 0
    words = [
        "train",
        "--config",
        str(config),
        "--data",
        str(data),
        "--to",
        str(tmp_path / "run"),
        "--dry-run",
    ]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "4 labels" in told
    assert "efficientnet-lite2" in told
    assert not (tmp_path / "run").exists()


def test_a_dry_registration_shows_what_it_would_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, version = write_finished_run(tmp_path / "run"), write_exported_version(tmp_path / "1", 0.5)
    before = files(tmp_path)
    assert main(["register", "--run", str(run), "--model", str(version), "--dry-run"]) == 0
    assert "preprocess_id: test-4" in capsys.readouterr().out
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("batch: 16", "batch: none"), "input.batch"),
        (("data/coco.json", "data/gone.json"), "gone.json"),
        (("batch: 16", "batch: ["), "is no YAML"),
    ],
)
def test_input_that_has_to_be_changed_ends_with_2_and_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], said: str
) -> None:
    config.write_text(config.read_text().replace(*change))
    assert main(["prepare", "--config", str(config), "--to", str(config.parent / "out")]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_search_without_parameters_ends_with_2_before_any_picture_is_read(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text().split("  parameters:")[0].replace("data/coco.json", "gone.json"))
    assert main(["search", "--config", str(config), "--to", str(config.parent / "out")]) == 2
    assert "search.parameters" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "export", "register"])
def test_a_folder_that_is_no_run_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    more = {"evaluate": [], "export": ["--to", str(tmp_path)], "register": ["--model", str(tmp_path)]}
    assert main([command, "--run", str(tmp_path / "none"), *more[command]]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_command_that_is_not_understood_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "--to", "run"])
    assert ended.value.code == 2
    assert "--config" in capsys.readouterr().err
