"""How long each process takes from ``docker run`` until it answers, with none of its services about."""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from engine import Engine, EngineError

_WITHIN_S = 180.0
_PAUSE_S = 0.05
# Nobody listens there: what a process does until it looks for its services is its own doing.
_NOWHERE = {
    "DATABASE_URL": "postgresql://vitrine@127.0.0.1:9/vitrine",
    "VITRINE_ALLOWED_HOSTS": "localhost",
    "VITRINE_BLOB_URL": "/var/lib/vitrine",
    "VITRINE_MODEL_SERVERS": "127.0.0.1:9",
    "VITRINE_QUEUE_URL": "amqp://127.0.0.1:9/",
    "VITRINE_SECRET_KEY": "only to be started and stopped again, nothing is signed with it",
}
# As they are meant to run: nothing may be written but here.
READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/lib/vitrine")  # noqa: S108 - in the container


@dataclass(frozen=True)
class Process:
    """A process of an image: its command, and where it answers; it ends by itself if ``port`` is 0."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    port: int = 9464
    path: str = "/healthz"


PROCESSES = (
    Process("catalogue", "catalogue"),
    Process("relay", "catalogue", ("vitrine", "relay")),
    Process("writer", "catalogue", ("vitrine", "write_results")),
    Process("monitor", "catalogue", ("vitrine", "monitor")),
    Process("worker", "worker"),
    Process("model_training --help", "training", port=0),
    Process("mlflow --version", "training", ("mlflow", "--version"), port=0),
)


def seconds_to_answer(engine: Engine, image: str, process: Process) -> float:
    """From ``docker run`` until it answers, or has ended if it is one that ends.

    Raises:
        EngineError: it did neither, or ended with another status than 0.
    """
    environment = [word for name, value in _NOWHERE.items() for word in ("--env", f"{name}={value}")]
    began = time.monotonic()
    if not process.port:
        engine.said("run", "--rm", "--network", "none", *READ_ONLY, *environment, image, *process.command)
        return time.monotonic() - began
    published = f"127.0.0.1::{process.port}"
    with _container(
        engine, "--publish", published, *READ_ONLY, *environment, image, *process.command
    ) as name:
        address = engine.said("port", name, str(process.port)).splitlines()[0]
        while not _answers(f"http://{address}{process.path}"):
            if time.monotonic() - began > _WITHIN_S:
                raise EngineError(
                    f"{process.name} does not answer:\n{engine.said('logs', '--tail', '20', name)}"
                )
            time.sleep(_PAUSE_S)
        return time.monotonic() - began


@contextlib.contextmanager
def _container(engine: Engine, *words: str) -> Iterator[str]:
    name = engine.said("run", "--detach", *words)
    try:
        yield name
    finally:
        engine.run("rm", "--force", name)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - http, as written above
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
