"""From options and environment variables to what the controller stands among."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from model_training.rollout.aliases import MlflowRegistry
from model_training.rollout.catalogue import Catalogue
from model_training.rollout.config_place import ConfigPlace, config_place
from model_training.rollout.errors import SetupError
from model_training.rollout.looking import Surroundings
from model_training.rollout.model_servers import ModelServers
from model_training.rollout.serving_path import ServingPath, serving_path
from model_training.rollout.settings import RolloutSettings

_T = TypeVar("_T")

# A rollout has other things to do than to wait for MLflow, which asks seven times with growing pauses.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def surroundings(  # noqa: PLR0913 - one argument for each option
    *,
    models_config: str | None,
    base_path: str | None,
    served_as: str | None,
    model: str | None,
    model_servers: str | None,
    catalogue: str | None,
    token_file: Path | None,
) -> Surroundings:
    """What the controller stands among. None: as the environment says.

    Raises:
        SetupError: neither says it, or it cannot be understood.
    """
    settings = settings_of_the_environment()
    for name, value in _IMPATIENT.items():
        os.environ.setdefault(name, value)
    try:
        servers = ModelServers(
            _said(model_servers or settings.model_servers, "--model-servers"),
            model or settings.model_name,
            ca_file=settings.model_ca_file,
        )
    except (ValueError, OSError) as error:
        raise SetupError(str(error)) from error
    place = model_place(models_config=models_config, base_path=base_path, served_as=served_as, model=model)
    return Surroundings(
        models_config=place.config,
        model=place.model,
        path=place.path,
        served_as=place.served_as,
        servers=servers,
        catalogue=_catalogue(settings, catalogue, token_file),
        registry=MlflowRegistry(place.model),
    )


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a model is published, and where the model servers are told of it."""

    model: str
    """Its name on the model servers."""
    path: ServingPath
    config: ConfigPlace
    served_as: str
    """The base path as the model servers see it."""


def model_place(
    *, models_config: str | None, base_path: str | None, served_as: str | None, model: str | None
) -> ModelPlace:
    """Where a model lies. None: as the environment says.

    Raises:
        SetupError: neither says it, or it cannot be understood.
    """
    settings = settings_of_the_environment()
    try:
        path = serving_path(_said(base_path or settings.models, "--base-path", "VITRINE_MODELS"))
        config = config_place(_said(models_config or settings.models_config, "--models-config"))
    except ValueError as error:
        raise SetupError(str(error)) from error
    return ModelPlace(
        model=model or settings.model_name,
        path=path,
        config=config,
        served_as=served_as or settings.served_as or path.name,
    )


def catalogue(address: str | None, token_file: Path | None) -> Catalogue:
    """The catalogue alone. None: as the environment says.

    Raises:
        SetupError: neither says it.
    """
    return _catalogue(settings_of_the_environment(), address, token_file)


def settings_of_the_environment() -> RolloutSettings:
    """What the environment says.

    Raises:
        SetupError: it cannot be understood.
    """
    try:
        return RolloutSettings()
    except ValidationError as error:
        raise SetupError(str(error)) from error


def _catalogue(settings: RolloutSettings, address: str | None, token_file: Path | None) -> Catalogue:
    url = _said(address or settings.catalogue_url, "--catalogue", "VITRINE_CATALOGUE_URL")
    if not url.startswith(("http://", "https://")):
        raise SetupError(f"{url!r} is no address of a catalogue: it begins with http:// or https://")
    file = _said(token_file or settings.catalogue_token_file, "--token-file", "VITRINE_CATALOGUE_TOKEN_FILE")
    return Catalogue(url, file)


def _said(value: _T | None, option: str, variable: str | None = None) -> _T:
    if value is None:
        named = variable or f"VITRINE_{option.strip('-').replace('-', '_').upper()}"
        raise SetupError(f"{option} or {named} has to be given")
    return value
