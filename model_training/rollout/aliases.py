"""What MLflow's registry says about the versions of one model, and what the controller notes there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from model_training.mlflow_runtime import client, is_store_complete, load_mlflow, tracking_uri
from model_training.registry.adopt import SERVED_AS, adopt
from model_training.registry.content import CONTENT, content_hash
from model_training.rollout.models_config import CHALLENGER, CHAMPION
from model_training.rollout.serving_path import GRAPH
from model_training.rollout.state import Registered, Registry

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

FAILED, WITHDRAWN = "vitrine.failed", "vitrine.withdrawn"
REFUSED, FORCE = "vitrine.refused", "vitrine.force"
"""Tags of a version. ``FORCE`` is set by people, with a reason; the others by the controller, saying why."""

_MOST_CHARACTERS = 2000


class RegistryDownError(Exception):
    """MLflow does not answer, or not as it should; trying again may help."""


class UnservableError(Exception):
    """A registered version is nothing that can be served. The text says why."""


class MlflowRegistry:
    """The versions of one registered model. Its methods raise :class:`RegistryDownError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._connected: Any = None

    def look(self) -> Registry:
        """Aliases and versions; nothing of either where there is no such model yet."""
        with self._store() as store:
            try:
                aliases = {alias: int(number) for alias, number in self._model(store).aliases.items()}
            except _faults()[0] as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return Registry()
                raise
            found = store.search_model_versions(f"name = '{self._name}'")
        versions = {int(each.version): _registered(each) for each in found}
        return Registry(aliases.get(CHAMPION), aliases.get(CHALLENGER), versions)

    def alias(self, alias: str, number: int | None) -> None:
        """Move an alias to a version; None: take it away."""
        with self._store() as store:
            if number is None:
                store.delete_registered_model_alias(self._name, alias)
            else:
                store.set_registered_model_alias(self._name, alias, str(number))

    def note(self, number: int, tag: str, text: str) -> None:
        """Set a tag of a version."""
        with self._store() as store:
            store.set_model_version_tag(self._name, str(number), tag, text[:_MOST_CHARACTERS])

    def forget(self, number: int, *tags: str) -> None:
        """Remove tags of a version; those that it does not have are no error."""
        with self._store() as store:
            there = store.get_model_version(self._name, str(number)).tags
            for tag in tags:
                if tag in there:
                    store.delete_model_version_tag(self._name, str(number), tag)

    def content(self, number: int) -> str | None:
        """Hash of the version folder that was registered, if it was noted."""
        with self._store() as store:
            found: str | None = store.get_model_version(self._name, str(number)).tags.get(CONTENT)
        return found

    def metrics(self, number: int) -> dict[str, float]:
        """The figures of its evaluation."""
        with self._store() as store:
            version = store.get_model_version(self._name, str(number))
            if version.model_id is not None:
                noted = store.get_logged_model(version.model_id).metrics or ()
                metrics = {each.key: each.value for each in noted}
            else:
                metrics = store.get_run(version.run_id).data.metrics if version.run_id else {}
        return {name: float(value) for name, value in metrics.items() if name.startswith("test_")}

    def adopt(self, folder: Path, number: int) -> int:
        """See :func:`model_training.registry.adopt.adopt`."""
        with self._store() as store:
            return adopt(store, self._name, folder, number)

    def download(self, number: int, to: Path) -> Path:
        """The version folder that was registered.

        Args:
            number: The registry's.
            to: An empty folder.

        Raises:
            UnservableError: there is none among its artifacts, or another one than was registered.
        """
        with self._store():
            mlflow = load_mlflow()
            mlflow.set_tracking_uri(tracking_uri())
            uri = f"models:/{self._name}/{number}"
            fetched = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(to)))
        folders = [path.parent for path in fetched.rglob(GRAPH)]
        if len(folders) != 1:
            raise UnservableError(f"its artifacts hold {len(folders)} files {GRAPH}, and have to hold one")
        expected = self.content(number)
        if expected is not None and content_hash(folders[0]) != expected:
            raise UnservableError(f"its artifacts are not what was registered: their {CONTENT} is another")
        return folders[0]

    def _model(self, store: Any) -> Any:
        return store.get_registered_model(self._name)

    @contextmanager
    def _store(self) -> Iterator[Any]:
        try:
            if self._connected is None:
                if not is_store_complete():
                    raise RegistryDownError(
                        "the tables of the local MLflow store are being made, or are of another MLflow: if "
                        "this lasts, `mlflow db upgrade` brings them up to date"
                    )
                self._connected = client()
            yield self._connected
        except (*_faults(), OSError, requests.RequestException) as error:
            raise RegistryDownError(f"MLflow: {error}") from error


def _faults() -> tuple[type[MlflowException], type[SQLAlchemyError]]:
    """What MLflow raises: its own, and for a local store that is locked, that of the database."""
    load_mlflow()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - only now is the environment as it must be
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    return MlflowException, SQLAlchemyError


def _registered(version: Any) -> Registered:
    served_as = version.tags.get(SERVED_AS, "")
    return Registered(
        number=int(version.version),
        served_as=int(served_as) if served_as.isdecimal() else None,
        failed=FAILED in version.tags,
        force=version.tags.get(FORCE, "").strip(),
    )
