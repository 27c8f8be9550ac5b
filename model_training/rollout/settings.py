"""What the controller and the commands are told by their environment; their options say the same."""

from __future__ import annotations

from pathlib import Path

from pydantic import FilePath

from pipeline.telemetry.settings import ProcessSettings


class RolloutSettings(ProcessSettings):
    """Beside what every process is told; options go before the environment."""

    models_config: str | None = None
    """The ``models.config`` that the model servers poll: a file, or ``s3://BUCKET/…/models.config``."""
    models: str | None = None
    """The base path of the model: a folder, or ``s3://BUCKET/PREFIX``."""
    served_as: str | None = None
    """The base path as the model servers see it, for a ``models.config`` that does not name the model yet."""
    model_name: str = "tagger"
    """On the model servers and in the registry."""
    model_servers: str | None = None
    """``host:port`` of the model servers, separated by commas; a name means every address that it has."""
    model_ca_file: FilePath | None = None
    """PEM certificates to trust; with it the connections to the model servers are encrypted."""
    catalogue_url: str | None = None
    catalogue_token_file: Path | None = None
    """Of a service account that may manage the rollout."""
