"""Versions of models in MLflow's registry: in the local store, and in a server with PostgreSQL and S3."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from rich.console import Console

from model_training.mlflow_runtime import client, load_mlflow, tracking_uri
from model_training.registry.register import (
    Registered,
    RegistrationError,
    content_hash,
    read_registration,
    register,
)
from model_training.tracking import MlflowTracker, remember_run
from tests.plugins.finished_run import COMMIT, DATA_HASH, write_exported_version, write_finished_run
from tests.plugins.mlflow_server import mlflow_serving
from tests.plugins.object_store import ObjectStore
from tests.plugins.tiny_models import white


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_exported_version(tmp_path_factory.mktemp("exported") / "3", 0.25)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A finished run whose model has a name that no other test uses."""
    folder = write_finished_run(tmp_path / "run")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("toy-tagger", f"tagger-{uuid4().hex[:8]}"))
    return folder


def registered(run: Path, version: Path) -> Registered:
    return register(read_registration(run, version), Console(quiet=True))


def answers(uri: str) -> dict[str, Any]:
    mlflow = load_mlflow()
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.pyfunc.load_model(uri).predict(white(2))


def test_a_registered_version_answers_and_says_where_it_comes_from(
    local_mlflow: Path, run: Path, exported: Path
) -> None:
    with MlflowTracker("toys", name="training") as tracker:
        tracker.metrics({"loss": 1.0}, step=1)
    remember_run(run, tracker.run_id)

    made = registered(run, exported)

    np.testing.assert_allclose(answers(made.uri)["scores"], [[0.25, 1.0]] * 2)
    version = client().get_model_version(made.name, str(made.version))
    assert (made.version, version.run_id, made.run_id) == (1, tracker.run_id, tracker.run_id)
    assert version.tags == {
        "data_hash": DATA_HASH,
        "git_commit": COMMIT,
        "preprocess_id": "test-4",
        "vocabulary_id": "vocabulary-0.25",
        "embedding_id": "embedding-2",
        "served_version": "3",
        "content_sha256": content_hash(exported),
    }
    assert version.description.startswith("# toy")
    model = client().get_logged_model(version.source.removeprefix("models:/"))
    metrics = {each.key: each.value for each in model.metrics}
    assert (metrics["test_map"], metrics["test_calibration_error"]) == (0.75, 0.04)
    assert client().get_run(tracker.run_id).data.metrics == {"loss": 1.0, **metrics}


def test_the_signature_names_shapes_and_types_and_refuses_others(
    local_mlflow: Path, run: Path, exported: Path
) -> None:
    mlflow = load_mlflow()
    model = mlflow.pyfunc.load_model(registered(run, exported).uri)
    (images,) = model.metadata.signature.inputs.inputs
    assert (images.shape, images.type) == ((-1, 4, 4, 3), np.uint8)
    outputs = {each.name: each.shape for each in model.metadata.signature.outputs.inputs}
    assert outputs == {"scores": (-1, 2), "embedding": (-1, 2)}
    assert model.input_example.shape == (1, 4, 4, 3)
    with pytest.raises(mlflow.MlflowException, match="shape"):
        model.predict(np.zeros((1, 5, 4, 3), np.uint8))


def test_the_version_folder_comes_back_unchanged(
    local_mlflow: Path, run: Path, exported: Path, tmp_path: Path
) -> None:
    made = registered(run, exported)
    mlflow = load_mlflow()
    mlflow.set_tracking_uri(tracking_uri())
    fetched = mlflow.artifacts.download_artifacts(made.uri, dst_path=str(tmp_path / "fetched"))
    assert content_hash(Path(fetched) / "artifacts" / "3") == content_hash(exported)


def test_the_same_content_is_refused_whatever_its_folder_is_called(
    local_mlflow: Path, run: Path, exported: Path, tmp_path: Path
) -> None:
    first = registered(run, exported)
    copy = shutil.copytree(exported, tmp_path / "4")

    with pytest.raises(RegistrationError, match=f"already, as version {first.version} of {first.name}"):
        registered(run, copy)

    (copy / "assets.extra" / "note.txt").write_text("another content")
    assert registered(run, copy).version == 2


def test_a_run_from_another_store_gets_a_run_of_its_own_here(
    local_mlflow: Path, run: Path, exported: Path
) -> None:
    remember_run(run, "0123456789abcdef0123456789abcdef")
    made = registered(run, exported)
    noted = client().get_run(made.run_id)
    assert noted.data.params["input.size"] == "260"
    assert noted.data.tags["data_hash"] == DATA_HASH
    assert noted.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [("data.json", "train first"), ("evaluation/metrics.json", "evaluate the run first")],
)
def test_a_run_without_its_measures_cannot_be_registered(
    run: Path, exported: Path, missing: str, remedy: str
) -> None:
    (run / missing).unlink()
    with pytest.raises(RegistrationError, match=remedy):
        read_registration(run, exported)


def test_a_folder_that_is_no_exported_version_cannot_be_registered(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="export the run first"):
        read_registration(run, tmp_path)


@pytest.mark.slow
def test_a_server_keeps_runs_in_postgresql_and_versions_in_s3(  # noqa: PLR0917
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scratch_database_url: str,
    object_store: ObjectStore,
    run: Path,
    exported: Path,
) -> None:
    database = scratch_database_url
    bucket = object_store.make_bucket()
    with mlflow_serving(tmp_path, database, object_store, bucket) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with MlflowTracker("toys", name="training") as tracker:
            tracker.metrics({"loss": 0.5}, step=1)
            tracker.artifact(run / "model_card.md")
        remember_run(run, tracker.run_id)

        made = registered(run, exported)

        np.testing.assert_allclose(answers(made.uri)["scores"], [[0.25, 1.0]] * 2)
        assert made.run_id == tracker.run_id
        assert client().get_model_version(made.name, made.version).tags["data_hash"] == DATA_HASH
        with pytest.raises(RegistrationError, match="already"):
            registered(run, exported)
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT name, version FROM model_versions").fetchone()
    assert row == (made.name, 1)
    listed = object_store.client().list_objects_v2(Bucket=bucket, Prefix="mlflow/")["Contents"]
    keys = [each["Key"] for each in listed]
    assert [key for key in keys if key.endswith("model_card.md")]
    assert [key for key in keys if key.endswith("/saved_model.pb")]
