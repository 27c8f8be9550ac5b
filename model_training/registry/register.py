"""Registers an exported version in MLflow, so that anybody can tell what it was made of and get it again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from model_training.config import Config, load_config
from model_training.evaluation.run import headline
from model_training.mlflow_runtime import client, load_mlflow, tracking_uri
from model_training.registry.content import CONTENT, content_hash
from model_training.registry.versions import log_version, new_version, versions_with
from model_training.tensorflow_runtime import load_tensorflow
from model_training.tracking import MlflowTracker, parameters, remembered_run


class RegistrationError(Exception):
    """This cannot be registered. The text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry. ``uri`` is what ``mlflow.pyfunc.load_model`` takes."""

    name: str
    version: int
    run_id: str
    uri: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What will be registered, read from a run and from the version that was exported of it."""

    config: Config
    run: Path
    version_folder: Path
    facts: Mapping[str, Any]
    """``assets.extra/model.json``."""
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    description: str


def read_registration(run: Path, version_folder: Path) -> Registration:
    """Read all that a registration needs; nothing is written.

    Raises:
        RegistrationError: a part is missing.
        ConfigError: the run's configuration cannot be read.
    """
    facts = _read_json(version_folder / "assets.extra" / "model.json", "export the run first")
    if not (version_folder / "saved_model.pb").is_file():
        raise RegistrationError(f"{version_folder} holds no saved_model.pb: it is no version of a model")
    data = _read_json(run / "data.json", "train first")
    metrics = _read_json(run / "evaluation" / "metrics.json", "evaluate the run first")
    card = run / "model_card.md"
    return Registration(
        config=load_config(run / "config.yaml"),
        run=run,
        version_folder=version_folder,
        facts=facts,
        metrics=headline(metrics),
        tags={
            "data_hash": str(data["data_hash"]),
            "git_commit": str(data["git_commit"] or "unknown"),
            **{name: str(facts[name]) for name in ("preprocess_id", "vocabulary_id", "embedding_id")},
            "served_version": version_folder.name,
            CONTENT: content_hash(version_folder),
        },
        description=card.read_text(encoding="utf-8") if card.is_file() else "",
    )


def register(registration: Registration, console: Console) -> Registered:
    """Keep the version folder as an MLflow model and register it under ``tracking.registered_model``.

    Loaded with ``mlflow.pyfunc``, it answers as the served one does. The version folder itself is among its
    artifacts, unchanged.

    Raises:
        RegistrationError: the same content is registered already.
    """
    mlflow = load_mlflow()
    store = client()
    name = registration.config.tracking.registered_model
    double = registered_already(registration)
    if double is not None:
        raise RegistrationError(
            f"this version is registered already, as version {double.version} of {name}: "
            "the content is the same to the byte"
        )
    mlflow.set_tracking_uri(tracking_uri())
    # MLflow would import it by itself while it looks at the model.
    load_tensorflow()
    with (
        console.status(f"registering a version of {name} …"),
        _mlflow_run(mlflow, store, registration) as run,
    ):
        info = log_version(mlflow, name, registration.version_folder, registration.facts)
        _log_metrics(store, run, info.model_id, registration.metrics)
        version = new_version(store, name, info, tags=registration.tags, description=registration.description)
    return Registered(name, version, run, f"models:/{name}/{version}")


def registered_already(registration: Registration) -> Registered | None:
    """The version that has the same content to the byte; None: nobody registered that yet."""
    name = registration.config.tracking.registered_model
    doubles = versions_with(client(), name, registration.tags[CONTENT])
    if not doubles:
        return None
    return Registered(
        name, int(doubles[0].version), doubles[0].run_id, f"models:/{name}/{doubles[0].version}"
    )


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RegistrationError(f"{path} is missing: {remedy}") from error
    return content


@contextmanager
def _mlflow_run(mlflow: Any, store: Any, registration: Registration) -> Iterator[str]:
    """The run of the training, or a new one: another store may have been in use then."""
    known = remembered_run(registration.run)
    if known is None or not _has_run(store, known):
        tracking = registration.config.tracking
        name = registration.config.name
        with MlflowTracker(tracking.experiment, name=name, folder=registration.run) as tracker:
            tracker.params(parameters(registration.config))
            tracker.tags({tag: registration.tags[tag] for tag in ("data_hash", "git_commit")})
        known = tracker.run_id
    mlflow.set_experiment(experiment_id=store.get_run(known).info.experiment_id)
    with mlflow.start_run(run_id=known):
        yield known


def _has_run(store: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        store.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _log_metrics(store: Any, run: str, model: str, metrics: Mapping[str, float]) -> None:
    """Note them on the run and on the model that came of it."""
    from mlflow.entities import Metric  # noqa: PLC0415

    now = time.time_ns() // 1_000_000
    noted = [Metric(name, value, now, 0, model_id=model, run_id=run) for name, value in metrics.items()]
    store.log_batch(run, metrics=noted)
