"""What the server was asked to do on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_training.local_server.config import ConfigError, ModelConfig, read_models_config
from model_training.rollout.config_place import ConfigFile
from model_training.rollout.models_config import Labels, Serving, write_serving
from model_training.rollout.serving_path import FolderPath


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. Ports: 0 for any free one."""

    base_path: Path | None
    model_name: str
    models_config: Path | None
    host: str = "127.0.0.1"
    grpc_port: int = 8500
    rest_port: int = 8501
    poll_s: float = 1.0
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    ready_file: Path | None = None

    def models(self) -> dict[str, ModelConfig]:
        """What to serve. A ``models.config`` that is not there yet is made, where a base path is named too.

        Raises:
            ConfigError: of the models.config file, or there is no version that it could name.
        """
        if self.models_config is not None:
            if self.base_path is not None and not self.models_config.exists():
                self._make_models_config(self.models_config, FolderPath(self.base_path))
            return read_models_config(self.models_config)
        assert self.base_path is not None
        return {self.model_name: ModelConfig(self.model_name, self.base_path)}

    def _make_models_config(self, path: Path, versions: FolderPath) -> None:
        newest = max(versions.versions(), default=None)
        if newest is None:
            raise ConfigError(f"{versions.name} holds no version that {path} could name")
        serving = Serving(frozenset({newest}), Labels.of(newest))
        write_serving(ConfigFile(path), self.model_name, serving, base_path=versions.name)
