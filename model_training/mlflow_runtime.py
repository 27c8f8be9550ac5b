"""The one place where MLflow is loaded: what must be decided before its import is decided here."""

from __future__ import annotations

import os
import sqlite3
import sys
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any


def load_mlflow() -> Any:
    """Import MLflow and return it. Takes about 3 s.

    It reports to nobody (its telemetry is off), says only what went wrong, and its default store is that of
    :func:`tracking_uri` for whatever runs in this process.
    """
    if "mlflow" in sys.modules:
        return sys.modules["mlflow"]
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Files come through the server: where its object store is, not every client can go.
    os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    with warnings.catch_warnings():
        # Its libraries announce to each other what will change one day: nothing that we could act upon.
        warnings.simplefilter("ignore")
        import mlflow  # noqa: PLC0415 - only now is the environment as it must be
        import mlflow.pyfunc  # noqa: PLC0415
        import mlflow.store.model_registry.sqlalchemy_store  # noqa: PLC0415
        import mlflow.store.tracking.sqlalchemy_store  # noqa: PLC0415
    return mlflow


def tracking_uri() -> str:
    """Where runs and versions are kept: ``MLFLOW_TRACKING_URI``, or an SQLite file below ``VITRINE_HOME``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{_local_folder() / 'mlflow.db'}"


def store_exists() -> bool:
    """Whether there is a store: one that was named, or a local one that was begun. Does not need MLflow."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return True
    return _revision() is not None


def is_store_complete() -> bool:
    """Whether the tables of a local store are those of this MLflow, and not just being made by somebody.

    MLflow takes no lock while it makes them, so two that begin at the same time disturb each other.
    """
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return True
    mlflow = load_mlflow()
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - comes with MLflow

    newest = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations")).get_current_head()
    return _revision() == newest


def artifact_location() -> str | None:
    """Where the artifacts of a new experiment go; None: where the server says.

    Without a server MLflow would put them into the working directory, wherever that happens to be.
    """
    return None if tracking_uri().startswith("http") else (_local_folder() / "artifacts").as_uri()


def client() -> Any:
    """A ``mlflow.MlflowClient`` on the store, which is made if it is not there (6 s)."""
    mlflow = load_mlflow()
    if not tracking_uri().startswith("http"):
        _local_folder().mkdir(parents=True, exist_ok=True)
    return mlflow.MlflowClient(tracking_uri(), tracking_uri())


def _revision() -> str | None:
    """Which tables the local store has, by MLflow's name for them; None: there is no store."""
    path = _local_folder() / "mlflow.db"
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def _local_folder() -> Path:
    home = os.environ.get("VITRINE_HOME") or Path(__file__).resolve().parents[1] / "var"
    return (Path(home) / "mlflow").resolve()
