"""A whole system in the shape of production, with every process that there is, for what they cost."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg

from dam.embedded.state import socket_url
from tests.plugins.mlflow_server import mlflow_serving
from tests.plugins.plant import Plant
from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for

_WITHIN_S = 300


class System(Plant):
    """A plant with pages, monitor, MLflow and controller, and one worker."""

    def __init__(self, home: Path, *, models: Path) -> None:
        super().__init__(home, models=models, workers=1, web=True, monitor=True)
        self._models_config = self.home / "models.config"
        self._serve += ["--models-config", str(self._models_config)]

    def start_rollout(self, stack: ExitStack) -> None:
        """Start MLflow and the controller; returns when the default model is registered and in service."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE mlflow")
        database = socket_url(self.postgres.sockets, database="mlflow")
        bucket = self.objects.make_bucket()
        mlflow = stack.enter_context(mlflow_serving(self.home, database, self.objects, bucket))
        token = self.home / "controller_token"
        permission = ("--permission", "rollout.manage_rollout")
        self.vitrine("service_account", "controller", *permission, "--token-file", str(token))
        command = [sys.executable, "-m", "model_training", "controller", "--base-path", str(self._models)]
        command += ["--models-config", str(self._models_config), "--catalogue", self.address]
        command += ["--token-file", str(token)]
        (port,) = free_ports(1)
        told = {"MLFLOW_TRACKING_URI": mlflow, "VITRINE_HEALTH_PORT": str(port)}
        self.controller = self.keeper.add("controller", command, **told)
        self.controller.start()
        wait_for(self._in_service, _WITHIN_S, "the controller to put the default model into service")

    def _in_service(self) -> bool:
        return bool(self.rows("SELECT 1 FROM jobs_routing WHERE live_label <> ''"))

    @property
    def pids(self) -> dict[str, int]:
        """Process → its number; names of ours are those of the label ``service``."""
        ours = {
            "web": self.web,
            "relay": self.relay,
            "worker": self.workers[0],
            "model-server": self.model_server,
            "writer": self.writer,
            "monitor": self.monitor,
            "controller": self.controller,
        }
        programs = {
            "mlflow": "mlflow",
            "database": "postgres",
            "broker": "rabbitmq-server",
            "object store": "weed",
        }
        return {name: kept.pid or 0 for name, kept in ours.items()} | {
            name: child_of_ours(word) for name, word in programs.items()
        }

    def take_import(self, folder: Path) -> None:
        """``vitrine import``."""
        self.vitrine("import", str(folder), "--json")

    def take_uploads(self, folder: Path) -> None:
        """Send the files by REST, four at a time."""
        api = self.api()

        def send(path: Path) -> None:
            with path.open("rb") as file:
                answer = api.post(f"{self.address}/api/v1/assets/", files={"file": file}, timeout=300)
            answer.raise_for_status()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(send, sorted(folder.iterdir())))

    def stored_bytes(self) -> Counter[str]:
        """Name of an object, such as ``grid.jpg`` → bytes of all of that name."""
        bucket, _, prefix = self.environment["VITRINE_BLOB_URL"].removeprefix("s3://").partition("/")
        pages = self.objects.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found: Counter[str] = Counter()
        for page in pages:
            for item in page.get("Contents", []):
                found[item["Key"].rpartition("/")[2]] += item["Size"]
        return found


def child_of_ours(program: str) -> int:
    """The one process that we started whose command line begins with such a program."""
    (found,) = (
        child.pid
        for child in psutil.Process().children()
        if program in {Path(word).name for word in child.cmdline()[:4]}
    )
    return found
