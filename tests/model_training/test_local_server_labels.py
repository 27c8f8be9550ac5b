"""The stand-in's labels, which move as TensorFlow Serving's do, and the ``models.config`` that it makes."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from model_training.cli.main import main
from model_training.local_server.config import ConfigError
from model_training.local_server.options import Options
from model_training.rollout.config_place import ConfigFile
from model_training.rollout.models_config import Labels, Serving, read_serving
from tests.plugins.processes import wait_for
from tests.plugins.tiny_models import TinyServer, write_tiny_model

LOADING_S = 120


def test_labels_stay_until_every_version_that_they_move_to_answers(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    for version in (1, 2):
        write_tiny_model(tmp_path / str(version), version / 10)
    tiny_server.serve("moved", tmp_path, "all {}", champion=1, challenger=2)
    # Version 3 is not there: neither label moves, as all come into force together.
    tiny_server.serve("moved", tmp_path, "all {}", champion=2, challenger=3)
    assert official.answered(name="moved", label="champion") == (1, 0.1)
    assert official.answered(name="moved", label="challenger") == (2, 0.2)
    write_tiny_model(tmp_path / "3", 0.3)
    wait_for(
        lambda: official.answered(name="moved", label="challenger") == (3, 0.3), LOADING_S, "both labels"
    )
    assert official.answered(name="moved", label="champion") == (2, 0.2)


def test_a_new_label_may_point_at_a_version_that_is_not_there_yet(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    write_tiny_model(tmp_path / "1", 0.1)
    tiny_server.serve("early", tmp_path, "all {}", champion=1)
    tiny_server.serve("early", tmp_path, "all {}", champion=1, challenger=2)
    with pytest.raises(grpc.RpcError) as caught:
        official.answered(name="early", label="challenger")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_version_that_failed_is_tried_again_when_it_is_named_again(
    tiny_server: TinyServer, tmp_path: Path
) -> None:
    official = tiny_server.client
    write_tiny_model(tmp_path / "1", 0.1)
    write_tiny_model(tmp_path / "elsewhere" / "2", 0.2)
    (tmp_path / "2").symlink_to(tmp_path / "elsewhere" / "2")
    variables = tmp_path / "elsewhere" / "2" / "variables"
    variables.rename(tmp_path / "hidden")
    tiny_server.serve("again", tmp_path, "specific { versions: 1 versions: 2 }")
    assert official.states("again") == {2: "END", 1: "AVAILABLE"}
    (tmp_path / "hidden").rename(variables)
    tiny_server.serve("again", tmp_path, "specific { versions: 1 }")
    tiny_server.serve("again", tmp_path, "specific { versions: 1 versions: 2 }")
    assert official.states("again") == {2: "AVAILABLE", 1: "AVAILABLE"}


def test_a_models_config_that_is_not_there_is_made_for_the_newest_complete_version(tmp_path: Path) -> None:
    for name in ("2/saved_model.pb", "10/saved_model.pb", "11/variables.index", "latest/saved_model.pb"):
        (tmp_path / "models" / name).parent.mkdir(parents=True)
        (tmp_path / "models" / name).touch()
    path = tmp_path / "models.config"
    options = Options(base_path=tmp_path / "models", model_name="tagger", models_config=path)
    made = options.models()["tagger"]
    assert (made.base_path, made.specific) == (tmp_path / "models", {10})
    assert made.labels == {"champion": 10, "challenger": 10, "predecessor": 10}
    assert read_serving(ConfigFile(path), "tagger") == Serving(frozenset({10}), Labels.of(10))

    (tmp_path / "models" / "10" / "saved_model.pb").unlink()
    before = path.read_text()
    assert options.models()["tagger"].specific == {10}
    assert path.read_text() == before


def test_a_server_that_has_nothing_to_serve_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="holds no version"):
        Options(base_path=tmp_path, model_name="tagger", models_config=tmp_path / "models.config").models()
    with pytest.raises(SystemExit) as ended:
        main(["serve"])
    assert ended.value.code == 2
    assert "one of --base-path and --models-config is needed" in capsys.readouterr().err
