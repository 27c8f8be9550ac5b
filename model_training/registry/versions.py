"""How a version folder becomes a version of a registered model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from model_training import registry
from model_training.registry.content import CONTENT


def log_version(
    mlflow: Any, name: str, folder: Path, facts: Mapping[str, Any], *, with_example: bool = True
) -> Any:
    """Keep a version folder, unchanged, as an MLflow model of the active run.

    Args:
        mlflow: The module.
        name: Of the registered model.
        folder: The version.
        facts: Its ``assets.extra/model.json``.
        with_example: Also keep an example of its input, for which MLflow loads the model, and so TensorFlow.

    Returns:
        MLflow's ``ModelInfo``.
    """
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    height, width = facts["preprocess"]["height"], facts["preprocess"]["width"]
    float32 = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(np.dtype(np.uint8), (-1, height, width, 3))]),
        Schema(
            [
                TensorSpec(float32, (-1, facts["labels"]), "scores"),
                TensorSpec(float32, (-1, facts["embedding"]), "embedding"),
            ]
        ),
    )
    # Named by us: MLflow would load the model in a new process to find out.
    needs = [f"{package}=={metadata.version(package)}" for package in ("mlflow", "tensorflow")]
    with warnings.catch_warnings():
        if not with_example:
            warnings.filterwarnings("ignore", "(?s).*input example", UserWarning)
        return mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(registry.__file__).with_name("served_model.py")),
            artifacts={"version_folder": str(folder.resolve())},
            signature=signature,
            input_example=np.full((1, height, width, 3), 127, np.uint8) if with_example else None,
            pip_requirements=needs,
        )


def new_version(store: Any, name: str, model: Any, *, tags: Mapping[str, str], description: str) -> int:
    """Register a model that was kept, as the next version of that name, which is made if it is new."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        store.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = store.create_model_version(
        name,
        model.model_uri,
        model.run_id,
        tags=dict(tags),
        description=description,
        model_id=model.model_id,
    )
    return int(made.version)


def versions_with(store: Any, name: str, content: str) -> list[Any]:
    """The versions of that content; none where there is no such model."""
    # MLflow answers with nothing if there is no such model.
    found: list[Any] = store.search_model_versions(f"name = '{name}' AND tags.`{CONTENT}` = '{content}'")
    return found
