"""Registers a version that is served already, so that the registry knows all that it is to speak of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model_training.mlflow_runtime import artifact_location, load_mlflow, tracking_uri
from model_training.registry.content import CONTENT, content_hash
from model_training.registry.versions import log_version, new_version, versions_with

SERVED_AS = "vitrine.served_as"
"""The tag that says under which number the model servers know a registered version."""

_IDS = ("preprocess_id", "vocabulary_id", "embedding_id")


class ForeignVersionError(Exception):
    """A version folder does not say what it is, as an export does. The text says what is missing."""


def adopt(store: Any, name: str, folder: Path, number: int) -> int:
    """See to it that the registry has a version folder, and knows its number on the model servers.

    Args:
        store: An ``MlflowClient``.
        name: Of the registered model.
        folder: The version.
        number: On the model servers.

    Returns:
        The registry's number: of the version that has this content already, or of a new one.

    Raises:
        ForeignVersionError: nothing that we exported.
    """
    facts = _facts(folder)
    content = content_hash(folder)
    if same := versions_with(store, name, content):
        store.set_model_version_tag(name, same[0].version, SERVED_AS, str(number))
        return int(same[0].version)
    mlflow = load_mlflow()
    mlflow.set_tracking_uri(tracking_uri())
    found = store.get_experiment_by_name(name)
    experiment = found.experiment_id if found else store.create_experiment(name, artifact_location())
    with mlflow.start_run(experiment_id=experiment, run_name=f"{facts['name']}, found on the model server"):
        model = log_version(mlflow, name, folder, facts, with_example=False)
    card = folder / "assets.extra" / "model_card.md"
    return new_version(
        store,
        name,
        model,
        tags={
            **{each: str(facts[each]) for each in _IDS},
            "served_version": folder.name,
            CONTENT: content,
            SERVED_AS: str(number),
        },
        description=card.read_text(encoding="utf-8") if card.is_file() else "",
    )


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "assets.extra" / "model.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = {"name", "labels", "embedding", "preprocess", *_IDS} - facts.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise ForeignVersionError(f"{path} cannot be read: {error}") from error
    if missing:
        raise ForeignVersionError(f"{path} does not say: {', '.join(sorted(missing))}")
    return facts
