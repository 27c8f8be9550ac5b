"""``python -m workers`` as a process: real queue, real files, a real gRPC server with a small model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.blobs import FolderBlobStore
from pipeline.messages import FailureReason, Outcome, TagResult
from pipeline.preprocess import read_header
from pipeline.topology import BULK
from tests.pipeline import pictures
from tests.plugins.model_server import ModelServer
from tests.plugins.photos import package_photos
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.colour_server import ColourServer
from tests.workers.desk import PATIENCE_S, Desk, wait_until

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class WorkerProcess:
    def __init__(self, environment: dict[str, str], output: Path) -> None:
        self.port = free_port()
        self.output = output
        ours = {"VITRINE_HEALTH_PORT": str(self.port), "VITRINE_LOG_FORMAT": "json", **environment}
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "workers"],
                cwd=ROOT,
                env={**os.environ, **ours},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.HTTPError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]


Start = Callable[..., WorkerProcess]


def best(result: TagResult) -> set[str]:
    """The ten labels with the highest scores."""
    return {score.label for score in result.scores[:10]}


@pytest.fixture
def server(model: ColourModel) -> Iterator[ColourServer]:
    with ColourServer(model) as server:
        yield server


@pytest.fixture
def start_process(scratch_database_url: str, tmp_path: Path, server: ColourServer) -> Iterator[Start]:
    """Starts a worker process; settings by their environment names without the prefix."""
    started: list[WorkerProcess] = []

    def start(*, ready: bool = True, **settings: str) -> WorkerProcess:
        environment = {
            "QUEUE_URL": scratch_database_url,
            "BLOB_URL": (tmp_path / "blobs").as_uri(),
            "MODEL_SERVERS": server.address,
            "DECODE_THREADS": "2",
            **settings,
        }
        output = tmp_path / f"worker{len(started)}.log"
        started.append(WorkerProcess({f"VITRINE_{k}": v for k, v in environment.items()}, output))
        if ready:
            wait_until(started[-1].ready, "the worker gets ready")
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait(PATIENCE_S)


def test_good_and_bad_pictures_are_answered_and_each_batch_is_one_line(
    start_process: Start, desk: Desk, blobs: FolderBlobStore
) -> None:
    worker = start_process()
    jobs = desk.ask(
        pictures.jpeg(1000, 700),
        pictures.TEXT,
        pictures.good_header_bad_pixels(),
        pictures.huge_png(),
        queue=BULK,
    )

    results = desk.answers(jobs)

    assert [(result.outcome, result.reason) for result in results] == [
        (Outcome.TAGGED, None),
        (Outcome.FAILED, FailureReason.CORRUPT),
        (Outcome.FAILED, FailureReason.CORRUPT),
        (Outcome.FAILED, FailureReason.TOO_LARGE),
    ]
    assert results[0].model == model_spec().identity
    assert {read_header(blobs.read(one.key)).media_type for one in results[0].renditions} == {"image/jpeg"}
    assert worker.stop() == 0
    (line,) = worker.events("batch")
    assert (line["pictures"], line["failed"], line["queue"]) == (4, 3, BULK)
    stages = ("prepare", "predict", "publish", "ack", "total")
    assert all(isinstance(line[f"{stage}_ms"], float) for stage in stages)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_worker_cleanly(start_process: Start, number: signal.Signals) -> None:
    worker = start_process()

    assert worker.stop(number) == 0
    assert len(worker.events("worker stopped")) == 1


def test_a_stop_in_the_middle_finishes_what_was_delivered(start_process: Start, desk: Desk) -> None:
    worker = start_process()
    jobs = desk.ask(*(pictures.jpeg(1500, 1000, seed=i) for i in range(12)), queue=BULK)
    wait_until(lambda: desk.transport.depths()[BULK].held > 0, "the worker begins")
    held = desk.transport.depths()[BULK].held

    assert worker.stop() == 0

    depth = desk.transport.depths()[BULK]
    assert (depth.ready, depth.held) == (12 - held, 0)
    start_process()
    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}


def test_kill_9_in_the_middle_of_a_batch_loses_nothing(
    start_process: Start, desk: Desk, server: ColourServer, model: ColourModel
) -> None:
    worker = start_process()
    model.served = {}  # it cannot finish
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(10)), queue=BULK)
    wait_until(lambda: desk.transport.depths()[BULK].held == 10, "the worker holds everything")

    worker.process.kill()
    worker.process.wait(PATIENCE_S)
    model.served = {"": model_spec()}
    start_process()

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}
    wait_until(desk.everything_acknowledged, "acknowledgement")
    assert desk.transport.depths()[f"{BULK}.dead"].ready == 0


def test_a_model_server_that_goes_and_comes_back_costs_nothing(
    start_process: Start, desk: Desk, server: ColourServer
) -> None:
    worker = start_process()
    desk.answers(desk.ask(pictures.jpeg(seed=0)))
    server.stop()
    jobs = desk.ask(*(pictures.jpeg(seed=i) for i in range(1, 5)))
    wait_until(lambda: not worker.ready(), "the worker notices")

    server.start()

    assert {result.outcome for result in desk.answers(jobs)} == {Outcome.TAGGED}
    wait_until(worker.ready, "the worker is ready again")


def test_the_default_model_behind_its_own_server_knows_a_cat_and_a_cup_of_coffee(
    start_process: Start, desk: Desk, model_server: ModelServer
) -> None:
    start_process(MODEL_SERVERS=model_server.address)
    photos = {path.stem: path.read_bytes() for path in package_photos()}

    cat, coffee, broken = desk.answers(
        desk.ask(photos["chelsea"], photos["coffee"], pictures.good_header_bad_pixels(), queue=BULK)
    )

    assert "cat" in best(cat)
    assert {"cup", "espresso"} & best(coffee)
    assert broken.reason is FailureReason.CORRUPT
    embedding = cat.embedding()
    assert embedding is not None
    assert embedding.shape == (320,)


def test_wrong_settings_are_told_and_end_the_process() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")}

    done = subprocess.run(
        [sys.executable, "-m", "workers"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == os.EX_USAGE
    assert "queue_url" in done.stderr


def test_a_worker_under_load_stays_small(start_process: Start, desk: Desk) -> None:
    """Twelve megapixels each, as a phone takes them."""
    worker = start_process()
    data = pictures.jpeg(4000, 3000)
    peak = 0

    jobs = desk.ask(*(data + bytes([i]) for i in range(48)), queue=BULK)
    desk.answers(jobs)

    for line in Path(f"/proc/{worker.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            peak = int(line.split()[1]) // 1024
    assert 0 < peak <= 350


def test_a_worker_imports_neither_django_nor_tensorflow(start_process: Start) -> None:
    worker = start_process()

    mapped = {Path(one.path).name for one in psutil.Process(worker.process.pid).memory_maps()}
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, workers.__main__; print(*sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert not any("tensorflow" in name for name in mapped)
    assert not {"django", "tensorflow"} & set(loaded)
