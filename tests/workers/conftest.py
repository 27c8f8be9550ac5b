from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.blobs import FolderBlobStore
from pipeline.ports import Predictor, Transport
from pipeline.transports import transport_from_url
from tests.workers.colour_model import ColourModel
from tests.workers.desk import Desk
from workers.batch import Ports
from workers.health import Health
from workers.patience import Shutdown
from workers.settings import WorkerSettings
from workers.tagger import Tagger


@pytest.fixture
def transport(scratch_database_url: str) -> Iterator[Transport]:
    with transport_from_url(scratch_database_url) as transport:
        transport.declare()
        yield transport


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobStore:
    return FolderBlobStore(tmp_path / "blobs")


@pytest.fixture
def model() -> ColourModel:
    return ColourModel()


@pytest.fixture
def desk(transport: Transport, blobs: FolderBlobStore) -> Iterator[Desk]:
    desk = Desk(transport, blobs)
    yield desk
    desk.close()


class RunningWorker:
    """A worker in a thread of the test."""

    def __init__(self, settings: WorkerSettings, ports: Ports) -> None:
        self.shutdown = Shutdown(settings.shutdown_deadline_s)
        self.health = Health(max_silence_s=60)
        self._tagger = Tagger(settings, ports, self.shutdown, self.health)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._tagger.run()
        except Exception as error:  # noqa: BLE001 - told by stop()
            self._error = error

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to stop, wait, and raise what it raised."""
        self.shutdown.ask()
        self._thread.join(60)
        assert not self.alive, "the worker did not stop"
        if self._error is not None:
            raise self._error


@pytest.fixture
def start_worker(
    transport: Transport,
    blobs: FolderBlobStore,
    model: ColourModel,
    scratch_database_url: str,
    tmp_path: Path,
) -> Iterator[Callable[..., RunningWorker]]:
    """Starts a worker; settings by keyword, and ``predictor`` or ``transport`` in place of the usual ones."""
    started: list[RunningWorker] = []

    def start(
        *, predictor: Predictor | None = None, over: Transport | None = None, **settings: Any
    ) -> RunningWorker:
        defaults = {
            "queue_url": scratch_database_url,
            "blob_url": str(tmp_path / "blobs"),
            "model_servers": "nowhere:0",
            "decode_threads": 2,
        }
        ports = Ports(over or transport, blobs, predictor or model)
        started.append(RunningWorker(WorkerSettings(**{**defaults, **settings}), ports))
        return started[-1]

    yield start
    for worker in started:
        if worker.alive:
            worker.stop()
