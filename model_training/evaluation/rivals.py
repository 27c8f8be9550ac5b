"""Whoever a new run is compared with: an exported version, the registry's champion, or another run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from model_training.datasets.prepared import Prepared
from model_training.evaluation.answers import Matrix
from model_training.evaluation.errors import RivalError
from model_training.export import square_squash
from model_training.networks.network import load_network
from model_training.tensorflow_runtime import load_tensorflow
from model_training.training.run_folder import NETWORK, RunError, read_run
from pipeline.ports import PreprocessSpec

CHAMPION = "champion"
"""The registry's alias of the version that serves."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Something that answers for pictures."""

    name: str
    labels: tuple[str, ...]
    preprocess: PreprocessSpec
    """How pictures have to be prepared for it."""
    answer: Callable[[NDArray[np.uint8]], Matrix]
    """Pictures uint8 ``[N, H, W, 3]`` → scores, or logits, which rank alike: ``[N, labels]``."""
    learned: frozenset[str] = frozenset()
    """SHA-256 of the pictures that it learned from, as far as that is known."""


def exported_rival(folder: Path, *, name: str | None = None) -> Rival:
    """An exported version, asked through the signatures that it serves with.

    Args:
        folder: The version folder.
        name: What tables call it; None: the last two parts of the path.

    Raises:
        RivalError: it is no version folder of a model of Vitrine.
    """
    if not (folder / "saved_model.pb").is_file():
        raise RivalError(f"{folder} holds no saved_model.pb: it is no version of a model")
    tf = load_tensorflow()
    loaded = tf.saved_model.load(str(folder))
    if not {"serving_default", "spec"} <= set(loaded.signatures):
        raise RivalError(f"{folder} lacks the signatures serving_default and spec: see docs/serving.md")
    spec = {key: value.numpy() for key, value in loaded.signatures["spec"]().items()}
    try:
        preprocess = PreprocessSpec.model_validate_json(spec["preprocess"])
    except ValidationError as error:
        raise RivalError(f"{folder} prepares pictures in a way that is not known here: {error}") from error
    serve = loaded.signatures["serving_default"]

    def answer(pixels: NDArray[np.uint8]) -> Matrix:
        return np.asarray(serve(images=tf.constant(pixels))["scores"].numpy(), np.float64)

    labels = tuple(label.decode() for label in spec["labels"].tolist())
    return Rival(name or "/".join(folder.resolve().parts[-2:]), labels, preprocess, answer)


def trained_rival(run: Path) -> Rival:
    """The network of another run.

    Raises:
        ConfigError: the run's configuration cannot be read.
        RunError: it is no run, or one that was not trained to the end.
    """
    facts = read_run(run)
    if not (run / NETWORK).is_file():
        raise RunError(f"{run} holds no {NETWORK}: train it to the end first")
    network = load_network(run / NETWORK)

    def answer(pixels: NDArray[np.uint8]) -> Matrix:
        return np.asarray(network(pixels.astype(np.float32), training=False)[1], np.float64)

    return Rival(run.name, facts.labels, square_squash(facts.config.input.size), answer)


def learned_from(prepared: Prepared) -> frozenset[str]:
    """SHA-256 of the pictures that whoever was trained on this data learned from, or was chosen by."""
    return frozenset(example.sha256 for example in prepared.examples if example.split != "test")


@contextmanager
def registered_champion(name: str) -> Iterator[Rival | None]:
    """The version that carries the alias ``champion`` in MLflow's registry; None: no version does.

    Args:
        name: Of the registered model.

    Raises:
        RivalError: what is registered there holds no version folder.
    """
    found = _champion(name)
    if found is None:
        yield None
        return
    from model_training.mlflow_runtime import load_mlflow, tracking_uri  # noqa: PLC0415 - takes seconds

    mlflow = load_mlflow()
    mlflow.set_tracking_uri(tracking_uri())
    uri = f"models:/{name}/{found.version}"
    with tempfile.TemporaryDirectory(prefix="vitrine-champion-") as to:
        fetched = Path(mlflow.artifacts.download_artifacts(uri, dst_path=to))
        folders = [path.parent for path in fetched.glob("artifacts/*/saved_model.pb")]
        if len(folders) != 1:
            raise RivalError(f"{uri} holds {len(folders)} version folders among its artifacts, not one")
        yield exported_rival(folders[0], name=f"{name} {found.version}")


def _champion(name: str) -> Any:
    """The registry's entry, or None."""
    from model_training.mlflow_runtime import client  # noqa: PLC0415

    store = client()
    # Asking for an alias that is not there is an error of several kinds, by the store's kind.
    models = store.search_registered_models(f"name = '{name}'")
    if not models or CHAMPION not in models[0].aliases:
        return None
    return store.get_model_version(name, models[0].aliases[CHAMPION])
