from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ports import Predictor, Transport
from pipeline.transports import transport_from_url
from tests.workers.colour_model import ColourModel
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import Desk
from tests.workers.running_worker import RunningWorker, Start
from workers.batch import Ports
from workers.settings import WorkerSettings


@pytest.fixture
def transport(scratch_database_url: str) -> Iterator[Transport]:
    with transport_from_url(scratch_database_url) as transport:
        transport.declare()
        yield transport


@pytest.fixture
def blobs(tmp_path: Path) -> CountingBlobStore:
    return CountingBlobStore(tmp_path / "blobs")


@pytest.fixture
def model() -> ColourModel:
    return ColourModel()


@pytest.fixture
def desk(transport: Transport, blobs: CountingBlobStore) -> Iterator[Desk]:
    desk = Desk(transport, blobs)
    yield desk
    desk.close()


@pytest.fixture
def start_worker(
    transport: Transport,
    blobs: CountingBlobStore,
    model: ColourModel,
    scratch_database_url: str,
    tmp_path: Path,
) -> Iterator[Start]:
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
