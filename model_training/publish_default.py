"""What a new system begins with: the default model at the base path, named in ``models.config``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from model_training.default_model import build_default
from model_training.rollout.config_place import ConfigPlace
from model_training.rollout.models_config import Labels, Serving, read_serving, write_serving
from model_training.rollout.serving_path import ServingPath

_FIRST = 1


def publish_default(
    path: ServingPath, config: ConfigPlace, *, model: str, served_as: str, console: Console
) -> None:
    """See to it that there is a version, and that ``models.config`` names one. What is there stays as it is.

    It may be killed and done again, and done twice at the same time: a version appears as a whole, and what
    is written where nothing was is the same each time.

    Args:
        path: gets the default model as version 1, if it holds no version.
        config: if it does not name the model yet, names its newest version, under all three labels.
        model: its name on the model servers.
        served_as: the base path as the model servers see it.
        console: for what was done.

    Raises:
        BadExportError: what was built does not answer as it should; nothing is published.
        ModelsConfigError: the file is there and cannot be understood.
        BlobStoreDownError, OSError: a place that does not answer, or takes nothing.
    """
    versions = path.versions()
    if not versions:
        with tempfile.TemporaryDirectory(prefix="vitrine-") as work:
            path.publish(build_default(Path(work), console=console), _FIRST)
        versions = path.versions()
        _did(console, f"version {_FIRST} lies at {path.name}")
    else:
        _did(console, f"{path.name} holds version {max(versions)} already")
    if (serving := read_serving(config, model)) is not None:
        _did(console, f"{config.name} names version {serving.labels.champion} as champion already")
        return
    newest = max(versions)
    write_serving(config, model, Serving(frozenset({newest}), Labels.of(newest)), base_path=served_as)
    _did(console, f"{config.name} names version {newest} in {served_as}")


def _did(console: Console, what: str) -> None:
    console.print(f"[green]✓[/] {what}", highlight=False, soft_wrap=True)
