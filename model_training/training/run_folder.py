"""The files of a run that say what it is: what evaluation, export and registration start from."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_training.config import Config, ConfigError, load_config, save_config
from model_training.datasets.prepared import Prepared
from model_training.projection import Projection

CONFIG, LABELS, DATA, HISTORY = "config.yaml", "labels.json", "data.json", "history.json"
NETWORK, PROJECTION, CALIBRATION, CARD = (
    "network.keras",
    "projection.npz",
    "calibration.json",
    "model_card.md",
)
CHECKPOINTS = "checkpoints"


class RunError(Exception):
    """A run lacks what is needed of it. The text says what to do first."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run says of itself."""

    config: Config
    labels: tuple[str, ...]
    names: dict[str, str]
    data: dict[str, Any]


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON, in one step."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


def fingerprint(config: Config, prepared: Prepared) -> str:
    """Names what the weights of every epoch follow from: a run is gone on with only if it is the same."""
    parts = config.model_dump(mode="json", include={"input", "network", "loss", "training"})
    content = [parts, prepared.data_hash, list(prepared.labels)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def git_commit() -> str | None:
    """The commit of the working directory, ``+changes`` where files differ from it; None: no repository."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{found}+changes" if changes else found


def open_run(folder: Path, config: Config, prepared: Prepared, *, resume: bool) -> None:
    """Make the folder of a run and write what is known before it starts.

    Raises:
        ConfigError: a run is there already and is not to be resumed.
    """
    if (folder / CONFIG).exists() and not resume:
        raise ConfigError(f"{folder} holds a run already: resume it, or train into another folder")
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    save_config(config, folder / CONFIG)
    labels = list(prepared.labels)
    write_json(folder / LABELS, {"labels": labels, "names": {slug: prepared.names[slug] for slug in labels}})
    targets, known = (matrix[prepared.rows("train")] for matrix in prepared.targets())
    counts = {split: len(prepared.rows(split)) for split in ("train", "validation", "test")}
    positives = ((targets * known) > 0).sum(axis=0)
    write_json(
        folder / DATA,
        {
            "name": prepared.name,
            "data_hash": prepared.data_hash,
            "counts": counts,
            "positives": dict(zip(labels, positives.tolist(), strict=True)),
            "sources": sorted({example.source for example in prepared.examples}),
            "git_commit": git_commit(),
        },
    )


def read_run(folder: Path) -> RunFacts:
    """What a run says of itself.

    Raises:
        ConfigError: its configuration cannot be read.
        RunError: another file is missing.
    """
    try:
        labels = json.loads((folder / LABELS).read_text(encoding="utf-8"))
        data = json.loads((folder / DATA).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder} is no run, {Path(error.filename).name} is missing: train first") from error
    return RunFacts(load_config(folder / CONFIG), tuple(labels["labels"]), labels["names"], data)


def save_projection(projection: Projection, folder: Path) -> None:
    """Write the projection of a run."""
    with (folder / PROJECTION).open("wb") as file:
        np.savez_compressed(file, mean=projection.mean, components=projection.components)


def read_projection(folder: Path, config: Config) -> Projection:
    """The projection of a run.

    Raises:
        RunError: it has none.
    """
    try:
        with np.load(folder / PROJECTION, allow_pickle=False) as arrays:
            return Projection(arrays["mean"], arrays["components"], space=config.network.backbone)
    except FileNotFoundError as error:
        raise RunError(f"{folder} has no {PROJECTION} yet: resume its training") from error
