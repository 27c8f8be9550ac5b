"""The default model, built once, and model servers on free ports."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

import model_training
from model_training.default_model import build_default
from tests.plugins.ports import free_ports
from tests.plugins.processes import stopped, wait_for

if TYPE_CHECKING:
    from tests.plugins.tiny_models import TinyServer

REPOSITORY = Path(model_training.__file__).parent.parent
_STARTS_WITHIN_S = 240
_MADE_FROM = (
    *("default_head", "default_model", "export", "golden", "networks", "projection", "tag_scores"),
    *("vocabulary", "weights"),
)
"""Modules and packages of ``model_training`` that decide what the default model is."""


@dataclass(frozen=True)
class ModelServer:
    """A running stand-in for TensorFlow Serving."""

    base_path: Path
    grpc_port: int
    rest_port: int
    health_port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """For gRPC, ``host:port``."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """Start of the REST addresses of the model ``tagger``."""
        return f"http://127.0.0.1:{self.rest_port}/v1/models/tagger"


def _recipe() -> str:
    """Names everything the default model is made from, so that a changed recipe is a new folder."""
    source = REPOSITORY / "model_training"
    files = [
        path
        for name in _MADE_FROM
        for path in (*source.glob(f"{name}.py"), *source.glob(f"{name}/*"))
        if path.is_file()
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def default_models() -> Path:
    """Folder with the default model in ``tagger/1``, built if it is not there. It is shared: read only.

    Lies in ``VITRINE_TEST_MODELS`` (default ``build/test-models`` in the repository).
    """
    root = Path(os.environ.get("VITRINE_TEST_MODELS", REPOSITORY / "build" / "test-models"))
    folder = root / _recipe()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # several test runs may share the folder
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_default(folder, console=Console(file=sys.stderr))
    return folder


@pytest.fixture(scope="session")
def model_dir() -> Path:
    """:func:`default_models`, for tests."""
    return default_models()


@contextmanager
def serving(base_path: Path, work: Path, *options: str) -> Iterator[ModelServer]:
    """A server of its own for the version folders in ``base_path``.

    Args:
        base_path: Of the model ``tagger``; ignored where ``options`` name a ``models.config``.
        work: For its log and ready file.
        options: For its command line.
    """
    ready = work / "ready.json"
    source = () if "--models-config" in options else ("--base-path", str(base_path))
    command = [sys.executable, "-m", "model_training", "serve", *source, "--ready-file", str(ready)]
    command += ["--grpc-port", "0", "--rest-port", "0", "--poll-s", "0.1", *options]
    (health,) = free_ports(1)
    environment = os.environ | {"VITRINE_HEALTH_PORT": str(health)}
    with (work / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        with stopped(process):
            wait_for(
                lambda: ready.exists() or process.poll() is not None, _STARTS_WITHIN_S, "the model server"
            )
            assert process.poll() is None, (work / "server.log").read_text()
            ports = json.loads(ready.read_text())
            yield ModelServer(base_path, ports["grpc"], ports["rest"], health, process)


@pytest.fixture(scope="session")
def model_server(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server of the default model, shared by all tests that only ask it."""
    with serving(model_dir / "tagger", tmp_path_factory.mktemp("model-server")) as server:
        yield server


@pytest.fixture(scope="session")
def tiny_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """One server for all tests that need versions of their own: each uses a model name of its own."""
    from tests.plugins.tiny_models import tiny_serving  # noqa: PLC0415 - loads TensorFlow: 4 s

    with tiny_serving(tmp_path_factory.mktemp("tiny")) as server:
        yield server
