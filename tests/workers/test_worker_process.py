"""``python -m workers`` as a process: real queue, real files, a real gRPC server with a small model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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
from tests.workers.colour_model import model_spec
from tests.workers.colour_server import ColourServer
from tests.workers.desk import Desk, wait_until
from tests.workers.worker_process import ROOT, StartProcess


def best(result: TagResult) -> set[str]:
    """The ten labels with the highest scores."""
    return {score.label for score in result.scores[:10]}


def test_good_and_bad_pictures_are_answered_and_each_batch_is_one_line(
    start_process: StartProcess, desk: Desk, blobs: FolderBlobStore
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
def test_a_signal_stops_an_idle_worker_cleanly(start_process: StartProcess, number: signal.Signals) -> None:
    worker = start_process()

    assert worker.stop(number) == 0
    assert len(worker.events("worker stopped")) == 1


def test_a_model_server_that_goes_and_comes_back_costs_nothing(
    start_process: StartProcess, desk: Desk, server: ColourServer
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
    start_process: StartProcess, desk: Desk, model_server: ModelServer
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


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "queue_url"),
        ({"QUEUE_URL": "http://somewhere"}, "must begin with"),
        ({"QUEUE_URL": "", "QUEUE_URL_FILE": "/no/such/file"}, "VITRINE_QUEUE_URL_FILE cannot be read"),
        ({"BLOB_URL": "ftp://somewhere"}, "not the address of a blob store"),
        ({"BLOB_URL": "s3://bucket", "S3_ACCESS_KEY": "alone"}, "belong together"),
        ({"MODEL_SERVERS": " , "}, "address of a model server"),
    ],
)
def test_wrong_settings_are_told_and_end_the_process(
    settings: dict[str, str], told: str, tmp_path: Path
) -> None:
    others = {name: value for name, value in os.environ.items() if not name.startswith("VITRINE_")}
    good = {"QUEUE_URL": "postgresql:///q", "BLOB_URL": str(tmp_path), "MODEL_SERVERS": "localhost:1"}
    ours = {f"VITRINE_{name}": value for name, value in (good | settings).items()} if settings else {}

    done = subprocess.run(
        [sys.executable, "-m", "workers"],
        cwd=ROOT,
        env=others | ours,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == os.EX_USAGE
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_at_work_has_loaded_neither_django_nor_tensorflow(
    start_process: StartProcess, desk: Desk
) -> None:
    worker = start_process(command=("-X", "importtime", "-m", "workers"))
    desk.answers(desk.ask(*(make() for make in pictures.EVERY_FORMAT.values()), pictures.TEXT, queue=BULK))

    mapped = {Path(one.path).name for one in psutil.Process(worker.process.pid).memory_maps()}
    assert worker.stop() == 0
    imported = {line.rpartition("|")[2].strip() for line in worker.lines() if line.startswith("import time:")}

    assert {"workers.tagger", "cv2", "grpc"} <= imported
    roots = {name.partition(".")[0] for name in imported}
    assert not {"django", "tensorflow", "tensorflow_serving", "keras", "dam", "model_training"} & roots
    assert not any("tensorflow" in name for name in mapped)


def test_nothing_in_the_worker_asks_which_model_server_answers() -> None:
    """What the stand-in is called where it lives must not stand in the code that is to treat both alike."""
    sources = [*(ROOT / "workers").glob("*.py"), *(ROOT / "pipeline").rglob("*.py")]
    assert len(sources) > 20

    telling = {
        str(source.relative_to(ROOT)): word
        for source in sources
        for word in ("local_server", "model_training", "stand-in", "standin")
        if word in source.read_text().lower()
    }

    assert telling == {}
