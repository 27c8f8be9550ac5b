"""What people ask for by command: of the catalogue, and for a challenger of the registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model_training.rollout.aliases import FAILED, MlflowRegistry, RegistryDownError
from model_training.rollout.catalogue import Catalogue, CatalogueDownError, CatalogueRefusedError
from model_training.rollout.errors import RefusedError, RolloutError
from model_training.rollout.models_config import CHALLENGER

_LOOK_EVERY_S = 1.0
_SETTLED_WITHIN_S = 1800.0
_STEPS = 20


def comparison(catalogue: Catalogue) -> dict[str, Any]:
    """Champion and challenger, with the gate's verdict.

    Raises:
        RefusedError: there is no challenger, or the catalogue does not answer.
    """
    with _refusing():
        return catalogue.comparison()


def status(catalogue: Catalogue) -> dict[str, Any]:
    """What is in service, with the newest ``steps``; the same errors."""
    with _refusing():
        return catalogue.rollout() | {"steps": catalogue.steps(_STEPS)}


def promote(
    catalogue: Catalogue, version: int, *, in_registry: bool, force: bool, reason: str
) -> dict[str, Any]:
    """Ask for a version to become champion; returns the step.

    Args:
        catalogue: Whom to ask.
        version: Its number on the model servers.
        in_registry: It is its number in the registry instead.
        force: Also where the gate refuses.
        reason: Kept with the step.

    Raises:
        RefusedError: no such version, the gate says no, or the catalogue does not answer.
    """
    with _refusing():
        number = "registry_version" if in_registry else "version"
        found = [each for each in catalogue.models() if each[number] == version]
        if not found:
            what = "registered version" if in_registry else "version"
            raise RefusedError(
                f"the catalogue knows no {what} {version}: make it the challenger first, with `challenge`"
            )
        newest = max(found, key=lambda each: int(each["id"]))
        return catalogue.promote(newest["id"], source="person", force=force, reason=reason)


def roll_back(catalogue: Catalogue, reason: str) -> dict[str, Any]:
    """Go back to the champion before; returns the step; the same errors."""
    with _refusing():
        return catalogue.roll_back(reason)


def settled(catalogue: Catalogue, step: dict[str, Any]) -> dict[str, Any]:
    """Wait until a step is done.

    Raises:
        RolloutError: it failed, or was not done in half an hour.
        RefusedError: the catalogue does not answer.
    """
    deadline = time.monotonic() + _SETTLED_WITHIN_S
    while time.monotonic() < deadline:
        with _refusing():
            found = next((each for each in catalogue.steps(_STEPS) if each["id"] == step["id"]), step)
        if found["state"] == "failed":
            raise RolloutError(f"it failed: {found['detail']}")
        if found["state"] != "asked":
            return found
        time.sleep(_LOOK_EVERY_S)
    raise RolloutError("the controller has not done it in half an hour: is it running?")


def challenge(model: str, number: int) -> None:
    """Make a registered version the challenger, also one that failed before.

    Raises:
        RefusedError: there is no such version, or MLflow does not answer.
    """
    registry = MlflowRegistry(model)
    try:
        registry.forget(number, FAILED)
        registry.alias(CHALLENGER, number)
    except RegistryDownError as error:
        raise RefusedError(str(error)) from error


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (CatalogueDownError, CatalogueRefusedError) as error:
        raise RefusedError(str(error)) from error
