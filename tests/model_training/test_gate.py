"""Whether a run may take the champion's place, through the command that people and schedules use."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from model_training.cli.main import main
from model_training.config import Config, load_config, save_config
from model_training.datasets.prepared import Prepared
from model_training.mlflow_runtime import client
from model_training.registry.register import read_registration, register
from model_training.tracking import MlflowTracker
from tests.plugins.colour_runs import SIZE, toy_data, write_colour_run, write_colour_version
from tests.plugins.finished_run import write_finished_run
from tests.plugins.toy_pictures import LABELS, ToyPictures

# Keras 3.15 hands its variables to NumPy 2 in a way that NumPy calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BACKWARDS = tuple(reversed(LABELS))


@dataclass(frozen=True)
class Scene:
    config: Config
    prepared: Prepared
    good: Path
    """A run that sees every colour."""
    broken: Path
    """A run that takes each label for another one."""
    champion: Path
    """A version that sees every colour, served at another size, its labels in another order and one more."""


@pytest.fixture(scope="module")
def scene(toy_pictures: ToyPictures, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("gate")
    config, prepared = toy_data(folder / "prepared", toy_pictures)
    champion = write_colour_version(
        folder / "models" / "7", ("red-disc", *BACKWARDS), size=48, named=("unicorn", *BACKWARDS)
    )
    return Scene(
        config,
        prepared,
        write_colour_run(folder / "good", config, prepared),
        write_colour_run(folder / "broken", config, prepared, blind=True),
        champion,
    )


def gate(scene: Scene, run: Path, *words: object) -> tuple[int, dict[str, Any]]:
    """The exit code, and what was kept."""
    more = ["--resamples", "200", "--untracked", *map(str, words)]
    code = main(["gate", "--run", str(run), "--data", str(scene.prepared.folder), *more])
    return code, json.loads((run / "gate.json").read_text())


def refused(scene: Scene, run: Path, *words: object) -> None:
    more = ["--untracked", *map(str, words)]
    assert main(["gate", "--run", str(run), "--data", str(scene.prepared.folder), *more]) == 2


def test_a_run_as_good_as_the_champion_passes(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    code, kept = gate(scene, scene.good, "--champion", scene.champion)
    assert (code, kept["passes"], kept["reasons"]) == (0, True, [])
    duel = kept["duel"]
    assert duel["pictures"] == len(scene.prepared.rows("test"))
    assert {each["label"] for each in duel["labels"]} == set(LABELS), "the unicorn is not of the run"
    assert min(duel["ours"], duel["theirs"]) > 0.9
    assert abs(duel["gain"]["value"]) < 0.02
    told = capsys.readouterr().out
    assert "models/7" in told
    assert "passes" in told


def test_a_broken_run_is_refused_with_the_difference_that_speaks_against_it(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    code, kept = gate(scene, scene.broken, "--champion", scene.champion)
    assert (code, kept["passes"]) == (1, False)
    gain = kept["duel"]["gain"]
    assert gain["value"] == pytest.approx(kept["duel"]["ours"] - kept["duel"]["theirs"])
    assert gain["low"] < gain["value"] < gain["high"] < -0.02
    losses = [each["gain"]["value"] for each in kept["duel"]["labels"]]
    assert losses == sorted(losses)
    said = capsys.readouterr()
    assert "surely lower than that of models/7 by more than 0.02" in said.err
    assert f"{gain['value']:+.3f}" in said.out


def test_how_much_may_be_lost_is_the_callers_to_say(scene: Scene) -> None:
    assert gate(scene, scene.broken, "--champion", scene.champion, "--most-lost", 1)[0] == 0


def test_another_run_can_stand_in_the_champions_place(scene: Scene) -> None:
    code, kept = gate(scene, scene.good, "--against", scene.broken)
    assert code == 0
    assert kept["duel"]["gain"]["low"] > 0.02
    assert gate(scene, scene.broken, "--against", scene.good)[0] == 1


def test_a_run_with_nobody_to_compare_with_has_to_be_good_by_itself(scene: Scene) -> None:
    code, kept = gate(scene, scene.good, "--alone", "--min-map", 0.9)
    assert (code, kept["duel"]) == (0, None)
    assert kept["own_map"] > 0.9
    code, kept = gate(scene, scene.broken, "--alone", "--min-map", 0.9)
    assert code == 1
    assert kept["reasons"] == [f"its own mAP is {kept['own_map']:.3f}, and 0.9 is asked for"]


def test_the_verdict_comes_as_json_and_nothing_beside_it(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    _, kept = gate(scene, scene.good, "--champion", scene.champion, "--json")
    assert json.loads(capsys.readouterr().out) == kept


# ---------------------------------------------------------------- what the champion has seen


def test_pictures_that_the_champion_learned_from_are_left_out_with_their_near_duplicates(
    scene: Scene, toy_pictures: ToyPictures, tmp_path: Path
) -> None:
    _, other = toy_data(tmp_path / "prepared", toy_pictures, seed=3)
    learned = {each.sha256 for each in other.examples if each.split != "test"}
    test = [each for each in scene.prepared.examples if each.split == "test"]
    spoilt = {each.group for each in test if each.sha256 in learned}
    left = sum(each.group in spoilt for each in test)
    assert 0 < left < len(test)
    _, kept = gate(scene, scene.good, "--champion", scene.champion, "--rival-data", other.folder)
    assert kept["duel"]["left_out"] == left
    assert kept["duel"]["pictures"] == len(test) - left


def test_a_champion_that_learned_from_everything_is_no_measure(
    scene: Scene, toy_pictures: ToyPictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, other = toy_data(tmp_path / "prepared", toy_pictures, validation=0, test=0)
    refused(scene, scene.good, "--champion", scene.champion, "--rival-data", other.folder)
    assert "learned from every picture" in capsys.readouterr().err


# ---------------------------------------------------------------- the registry's champion


def test_without_a_name_the_champion_is_the_registrys_and_the_runs_entry_says_how_it_ended(
    scene: Scene, local_mlflow: Path, tmp_path: Path
) -> None:
    model = f"colours-{uuid4().hex[:8]}"
    config = load_config(scene.broken / "config.yaml")
    config = config.model_copy(
        update={"tracking": config.tracking.model_copy(update={"registered_model": model})}
    )
    run = tmp_path / "run"
    shutil.copytree(scene.broken, run)
    save_config(config, run / "config.yaml")
    with MlflowTracker("toys", name="colours", folder=run) as tracker:
        entry = tracker.run_id
    words = ["gate", "--run", str(run), "--data", str(scene.prepared.folder), "--resamples", "50"]

    assert main(words) == 0
    assert json.loads((run / "gate.json").read_text())["duel"] is None
    assert client().get_run(entry).data.tags["gate"] == "passed"

    first = write_finished_run(tmp_path / "first")
    (first / "config.yaml").write_text((first / "config.yaml").read_text().replace("toy-tagger", model))
    made = register(read_registration(first, scene.champion), Console(quiet=True))
    client().set_registered_model_alias(model, "champion", str(made.version))

    assert main(words) == 1
    kept = json.loads((run / "gate.json").read_text())
    assert kept["duel"]["rival"] == f"{model} 1"
    found = client().get_run(entry)
    assert found.data.tags["gate"] == "closed"
    assert found.data.tags["gate.reasons"] == kept["reasons"][0]
    assert found.info.status == "FINISHED", "a run that does not pass did not fail"


# ---------------------------------------------------------------- what cannot be judged


def test_a_champion_that_knows_no_label_of_the_run_cannot_be_compared(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = write_colour_version(tmp_path / "1", ("red-disc",), size=SIZE, named=("unicorn",))
    refused(scene, scene.good, "--champion", stranger)
    assert "knows 0 of the run's 4 labels" in capsys.readouterr().err


def test_a_folder_that_is_no_version_is_refused(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(scene, scene.good, "--champion", tmp_path)
    assert "no saved_model.pb" in capsys.readouterr().err


def test_a_run_that_was_not_evaluated_is_refused(
    scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(scene.good, run, ignore=shutil.ignore_patterns("evaluation"))
    refused(scene, run, "--alone")
    assert "was not evaluated" in capsys.readouterr().err


def test_other_data_than_the_runs_own_is_refused(
    scene: Scene, toy_pictures: ToyPictures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, other = toy_data(tmp_path / "prepared", toy_pictures, seed=3)
    words = ["gate", "--run", str(scene.good), "--data", str(other.folder), "--alone", "--untracked"]
    assert main(words) == 2
    assert "was trained on data" in capsys.readouterr().err
