from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.ports import Predictor, Transport
from pipeline.transports import transport_from_url
from tests.plugins.brokers import RabbitBroker
from tests.workers.colour_model import ColourModel
from tests.workers.colour_server import ColourServer
from tests.workers.counting_blobs import CountingBlobStore
from tests.workers.desk import PATIENCE_S, Desk, wait_until
from tests.workers.running_worker import RunningWorker, Start
from tests.workers.worker_process import COMMAND, StartProcess, WorkerProcess
from workers.batch import Ports
from workers.settings import WorkerSettings


@pytest.fixture
def queue_url(request: pytest.FixtureRequest) -> str:
    """Address of an empty broker: PostgreSQL, or what a test names by ``on_both_brokers``."""
    if getattr(request, "param", "postgres") == "rabbit":
        broker: RabbitBroker = request.getfixturevalue("rabbit_broker")
        return broker.url
    url: str = request.getfixturevalue("scratch_database_url")
    return url


@pytest.fixture
def transport(queue_url: str) -> Iterator[Transport]:
    with transport_from_url(queue_url) as transport:
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
    queue_url: str,
    tmp_path: Path,
) -> Iterator[Start]:
    """Starts a worker; settings by keyword, and ``predictor`` or ``transport`` in place of the usual ones."""
    started: list[RunningWorker] = []

    def start(
        *, predictor: Predictor | None = None, over: Transport | None = None, **settings: Any
    ) -> RunningWorker:
        defaults = {
            "queue_url": queue_url,
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


@pytest.fixture
def server(model: ColourModel) -> Iterator[ColourServer]:
    with ColourServer(model) as server:
        yield server


@pytest.fixture
def start_process(queue_url: str, tmp_path: Path, server: ColourServer) -> Iterator[StartProcess]:
    """Starts a worker process; settings by their environment names without the prefix."""
    started: list[WorkerProcess] = []

    def start(*, ready: bool = True, command: tuple[str, ...] = COMMAND, **settings: str) -> WorkerProcess:
        environment = {
            "QUEUE_URL": queue_url,
            "BLOB_URL": (tmp_path / "blobs").as_uri(),
            "MODEL_SERVERS": server.address,
            "DECODE_THREADS": "2",
            **settings,
        }
        output = tmp_path / f"worker{len(started)}.log"
        ours = {f"VITRINE_{name}": value for name, value in environment.items()}
        started.append(WorkerProcess(ours, output, command=command))
        if ready:
            wait_until(started[-1].ready, "the worker gets ready")
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait(PATIENCE_S)
