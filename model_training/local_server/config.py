"""Which models to serve from where: the command line's one model, or a ``models.config`` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2


class ConfigError(Exception):
    """The configuration cannot be read or asks for what this server does not do."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One model. Of its version folders are served: the newest ``latest``, or ``specific``, or all."""

    name: str
    base_path: Path
    latest: int | None = 1
    """None: all versions, unless some are named."""
    specific: frozenset[int] = frozenset()
    labels: Mapping[str, int] = field(default_factory=dict)

    def wanted(self, on_disk: set[int]) -> set[int]:
        """The versions to serve of those that are there."""
        if self.specific:
            return on_disk & self.specific
        return set(sorted(on_disk)[-self.latest :]) if self.latest else on_disk


def from_proto(config: Any) -> dict[str, ModelConfig]:
    """A ``tensorflow.serving.ModelServerConfig`` as our configuration, by name.

    Raises:
        ConfigError: two models of one name, no name, no base path, or another platform.
    """
    if config.WhichOneof("config") == "custom_model_config":
        raise ConfigError("custom_model_config is not supported")
    models: dict[str, ModelConfig] = {}
    for entry in config.model_config_list.config:
        if not entry.name or not entry.base_path:
            raise ConfigError("every model needs a name and a base_path")
        if entry.model_platform not in {"", "tensorflow"}:
            raise ConfigError(f"model {entry.name}: platform {entry.model_platform} is not supported")
        if entry.name in models:
            raise ConfigError(f"model {entry.name} is named twice")
        policy = entry.model_version_policy
        choice = policy.WhichOneof("policy_choice")
        latest: int | None = max(1, policy.latest.num_versions) if choice == "latest" else 1
        models[entry.name] = ModelConfig(
            name=entry.name,
            base_path=Path(entry.base_path),
            latest=None if choice in {"all", "specific"} else latest,
            specific=frozenset(policy.specific.versions) if choice == "specific" else frozenset(),
            labels=dict(entry.version_labels),
        )
    return models


def read_models_config(path: Path) -> dict[str, ModelConfig]:
    """Read a ``models.config`` file (text format).

    Raises:
        ConfigError: it cannot be read or understood, or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            # Somebody writes it at this moment: taken at its word, it would end every model's service.
            raise ConfigError(f"{path}: the file is empty")
        return from_proto(text_format.Parse(text, model_server_config_pb2.ModelServerConfig()))
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise ConfigError(f"{path}: {error}") from error
