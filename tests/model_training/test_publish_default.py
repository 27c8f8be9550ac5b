"""What a new system begins with, and how it gets to a model server that reads no S3."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console

from model_training.cli.main import main
from model_training.mirror.mirror import Mirror
from model_training.publish_default import publish_default
from model_training.rollout.acts import Idle
from model_training.rollout.config_place import ConfigFile, config_place
from model_training.rollout.controller import Controller
from model_training.rollout.models_config import Labels, Serving, read_serving, write_serving
from model_training.rollout.serving_path import FolderPath, serving_path
from model_training.rollout.setting_up import surroundings
from pipeline.telemetry.health import Health
from tests.plugins.model_server import serving
from tests.plugins.object_store import ObjectStore
from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for
from tests.plugins.rollout_catalogue import rollout_catalogue
from tests.plugins.rollout_scene import WITHIN_S, tiny_version
from tests.plugins.tiny_models import OfficialClient


def _publish(base: Path, config: Path) -> None:
    publish_default(
        FolderPath(base),
        ConfigFile(config),
        model="tagger",
        served_as="/models/tagger",
        console=Console(file=io.StringIO()),
    )


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store.make_bucket()


@pytest.mark.slow
def test_an_empty_bucket_gets_the_default_model_and_a_models_config_that_names_it(
    bucket: str, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"s3://{bucket}/models"
    monkeypatch.setenv("VITRINE_MODELS", f"{place}/tagger")
    monkeypatch.setenv("VITRINE_MODELS_CONFIG", f"{place}/models.config")
    monkeypatch.setenv("VITRINE_SERVED_AS", "/models/tagger")
    assert main(["publish-default"]) == 0

    config = config_place(f"{place}/models.config")
    assert read_serving(config, "tagger") == Serving(frozenset({1}), Labels.of(1))
    text = config.read() or b""
    assert b'base_path: "/models/tagger"' in text
    published = serving_path(f"{place}/tagger").fetch(1, tmp_path)
    files = {path.relative_to(published) for path in published.rglob("*") if path.is_file()}
    built = model_dir / "tagger" / "1"
    assert files == {path.relative_to(built) for path in built.rglob("*") if path.is_file()}


def test_what_is_there_stays_and_the_newest_version_is_named(tmp_path: Path) -> None:
    base, config = tmp_path / "models" / "tagger", tmp_path / "models" / "models.config"
    for number in (3, 12):
        shutil.copytree(tiny_version(0.1), base / str(number))
    _publish(base, config)
    assert read_serving(ConfigFile(config), "tagger") == Serving(frozenset({12}), Labels.of(12))
    assert sorted(path.name for path in base.iterdir()) == ["12", "3"]

    moved = Serving(frozenset({3, 12}), Labels.of(3, 12))
    write_serving(ConfigFile(config), "tagger", moved, base_path="/elsewhere")
    before = config.read_bytes()
    _publish(base, config)
    assert config.read_bytes() == before


def test_a_place_that_is_not_named_or_does_not_answer_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("VITRINE_MODELS", "VITRINE_MODELS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert main(["publish-default", "--base-path", str(tmp_path)]) == 2
    assert "--models-config or VITRINE_MODELS_CONFIG has to be given" in capsys.readouterr().err
    monkeypatch.setenv("VITRINE_S3_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("VITRINE_S3_ACCESS_KEY", "somebody")
    monkeypatch.setenv("VITRINE_S3_SECRET_KEY", "secret")
    words = ["publish-default", "--base-path", "s3://bucket/tagger", "--models-config", "s3://bucket/c"]
    assert main(words) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_server_serves_what_the_controller_says_by_way_of_a_bucket(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITRINE_HOME", str(tmp_path))  # where there is no model registry
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    place, to = f"s3://{bucket}", tmp_path / "models"
    (port,) = free_ports(1)
    path = serving_path(f"{place}/tagger")
    path.publish(tiny_version(0.1), 1)
    health = Health(max_silence_s=WITHIN_S)
    with (
        rollout_catalogue(tmp_path) as catalogue,
        closing(
            surroundings(
                models_config=f"{place}/models.config",
                base_path=f"{place}/tagger",
                served_as=str(to / "tagger"),
                model="tagger",
                model_servers=f"127.0.0.1:{port}",
                catalogue=catalogue.address,
                token_file=catalogue.token_file,
            )
        ) as around,
        closing(Mirror(place, to, health)) as mirror,
    ):
        controller = Controller(around, health)
        controller.step()  # nothing serves yet: it begins with the version that is there
        mirror.round()
        options = ("--models-config", str(to / "models.config"), "--grpc-port", str(port))
        with serving(to, tmp_path, *options), OfficialClient(f"127.0.0.1:{port}") as official:
            assert controller.settle(Event(), every_s=0.05, within_s=WITHIN_S) == Idle()
            assert catalogue.numbers()["champion"] == 1
            path.publish(tiny_version(0.2), 2)
            config = config_place(f"{place}/models.config")
            write_serving(config, "tagger", Serving(frozenset({1, 2}), Labels.of(1, 2)), base_path="unused")
            mirror.round()

            def challenger_answers() -> bool:
                return official.answered(label="challenger") == (2, 0.2)

            wait_for(challenger_answers, WITHIN_S, "the new label to be in force")
            assert official.answered(label="champion") == (1, 0.1)
