"""What the server was asked to do on its command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model_training.local_server.config import ModelConfig, read_models_config


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
        """What to serve.

        Raises:
            ConfigError: of the models.config file.
        """
        if self.models_config is not None:
            return read_models_config(self.models_config)
        assert self.base_path is not None
        return {self.model_name: ModelConfig(self.model_name, self.base_path)}
