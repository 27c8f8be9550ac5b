"""MLflow: the local store of the session, and a real server in the shape of production."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.plugins.object_store import ObjectStore
from tests.plugins.ports import free_ports
from tests.plugins.processes import is_ready, stopped, wait_for

_STARTS_WITHIN_S = 240


@pytest.fixture
def local_mlflow(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the store that needs no server. One for the session: to make it takes seconds."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(os.environ["VITRINE_HOME"]) / "mlflow"


@contextmanager
def mlflow_serving(work: Path, database: str, store: ObjectStore, bucket: str) -> Iterator[str]:
    """Runs a server, runs in PostgreSQL and artifacts in S3, and gives its address.

    Args:
        work: for its log.
        database: of an empty PostgreSQL database.
        store: where ``bucket`` is.
        bucket: gets the artifacts. The clients never see it: the server hands them through.
    """
    (port,) = free_ports(1)
    s3 = store.environment()
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Judges of language models, which take a process of their own.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_S3_ENDPOINT_URL": s3["VITRINE_S3_ENDPOINT"],
        "AWS_ACCESS_KEY_ID": s3["VITRINE_S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": s3["VITRINE_S3_SECRET_KEY"],
        "AWS_DEFAULT_REGION": s3["VITRINE_S3_REGION"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--artifacts-destination", f"s3://{bucket}/mlflow"),
        *("--backend-store-uri", database.replace("postgresql://", "postgresql+psycopg://", 1)),
    ]
    with (work / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=work, env=environment, stdout=log, stderr=subprocess.STDOUT)
        with stopped(process):
            address = f"http://127.0.0.1:{port}"
            wait_for(
                lambda: process.poll() is not None or is_ready(f"{address}/health"),
                _STARTS_WITHIN_S,
                "MLflow",
            )
            assert process.poll() is None, (work / "mlflow.log").read_text()
            yield address
