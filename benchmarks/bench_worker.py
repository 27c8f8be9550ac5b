"""The worker process alone: its peak memory by format, and what it costs beside decoding and inference.

Pictures go through a real queue and a real blob store, once in a folder with PostgreSQL, once on S3 with
RabbitMQ (left out where that is not installed), to a gRPC server: one that answers at once, and the default
model behind its own server. All figures of CPU are the worker's own, by its log lines: ``decode`` and
``encode`` are the picture's, ``predict`` is the thread that asks the model, and what is left (fetching,
storing, the queue, messages, the log) is the worker's overhead.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from dam.embedded.postgres import EmbeddedPostgres
from pipeline.blobs import blob_store_from_url
from pipeline.messages import Purpose, TagRequest
from pipeline.ports import Message, Transport
from pipeline.topology import BULK, RESULTS
from pipeline.transports import transport_from_url
from tests.pipeline import pictures
from tests.plugins.model_server import default_models, serving
from tests.plugins.object_store import ObjectStore
from tests.plugins.photos import write_photos
from tests.plugins.rabbitmq import RabbitNode
from tests.workers.colour_model import ColourModel, model_spec
from tests.workers.colour_server import ColourServer

_REPOSITORY = Path(__file__).resolve().parent.parent
_WITHIN_S = 600
# A worker loads what its addresses ask for; here the largest of all: S3 and RabbitMQ.
_WORKER = "import obstore, pika, sys; from workers.__main__ import main; sys.exit(main())"
_FORMATS = ("jpeg", "progressive", "png", "webp", "tiff", "avif", "heic")
_RARE = ("16-bit png", "cmyk tiff", "rgba tiff")
_EACH = 16
_WARM = 64


def large_pictures(names: Sequence[str]) -> dict[str, bytes]:
    """12 megapixels of gradients with the noise of a sensor, in each format."""
    noise = np.random.default_rng(1).integers(-6, 7, (3000, 4000, 1))
    rgb = np.clip(pictures.scene(4000, 3000).astype(np.int16) + noise, 0, 255).astype(np.uint8)
    make: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: pictures.encoded(rgb, "JPEG", quality=90),
        "progressive": lambda: pictures.encoded(rgb, "JPEG", quality=90, progressive=True),
        "png": lambda: pictures.encoded(rgb, "PNG", compress_level=1),
        "webp": lambda: pictures.encoded(rgb, "WEBP", quality=85, method=0),
        "tiff": lambda: pictures.encoded(rgb, "TIFF"),
        "avif": lambda: pictures.encoded(rgb, "AVIF", quality=70, speed=10),
        "heic": lambda: pictures.encoded(rgb, "HEIF", quality=70),
        "16-bit png": lambda: _sixteen_bits(rgb),
        "cmyk tiff": lambda: pictures.encoded(Image.fromarray(rgb).convert("CMYK"), "TIFF"),
        "rgba tiff": lambda: pictures.encoded(np.dstack([rgb, rgb[..., 0]]), "TIFF"),
    }
    return {name: make[name]() for name in names}


def _sixteen_bits(rgb: np.ndarray) -> bytes:
    rows = (rgb.astype(np.uint16) * 257).astype(">u2").reshape(len(rgb), -1)
    return pictures.png_of(rgb.shape[1], len(rgb), bits=16, colour_type=2, rows=[r.tobytes() for r in rows])


@dataclass(frozen=True)
class Run:
    """What one worker process did."""

    peak_mb: int
    seconds: float
    batches: list[dict[str, float]]

    def each(self, *stages: str) -> float:
        """Milliseconds of these stages per picture."""
        spent = sum(batch.get(stage, 0.0) for batch in self.batches for stage in stages)
        return spent / sum(batch["pictures"] for batch in self.batches)


class Plant:
    """Queue and blob store, and a worker process for each load."""

    def __init__(self, name: str, folder: Path, *, queue_url: str, blob_url: str) -> None:
        self.name = name
        self.folder = folder
        self._addresses = {"QUEUE_URL": queue_url, "BLOB_URL": blob_url}
        self._transport: Transport = transport_from_url(queue_url)
        self._transport.declare()
        self._blobs = blob_store_from_url(blob_url)

    def run(self, files: Sequence[Path], model_address: str, *, threads: int, warm: int = 0) -> Run:
        """Have a worker tag them all; the first ``warm`` count for nothing but memory."""
        requests = [self._message(number, path) for number, path in enumerate(files)]
        with self._worker(model_address, threads) as (process, log), self._transport.publisher() as publisher:
            publisher.publish(requests[:warm])
            self._drain(warm, process)
            skipped = len(_batches(log))
            began = time.perf_counter()
            publisher.publish(requests[warm:])
            self._drain(len(requests) - warm, process)
            seconds = time.perf_counter() - began
            status = Path(f"/proc/{process.pid}/status").read_text()
            (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
        return Run(peak // 1024, seconds, _batches(log)[skipped:])

    def _message(self, number: int, path: Path) -> Message:
        with path.open("rb") as stream:
            stored = self._blobs.put(stream)
        request = TagRequest(
            job_id=number,
            generation=1,
            purpose=Purpose.LIVE,
            blob_key=stored.key,
            sha256=stored.sha256,
            media_type="image/jpeg",
            requested_at=datetime.now(UTC),
        )
        return Message(BULK, request.model_dump_json().encode(), str(number))

    @contextlib.contextmanager
    def _worker(self, model_address: str, threads: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        log = self.folder / "worker.log"
        settings = {
            **self._addresses,
            "MODEL_SERVERS": model_address,
            "DECODE_THREADS": str(threads),
            "LOG_FORMAT": "json",
        }
        environment = os.environ | {f"VITRINE_{name}": value for name, value in settings.items()}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _WORKER], cwd=_REPOSITORY, env=environment, stderr=output
            )
        try:
            yield process, log
        finally:
            process.terminate()
            process.wait(60)

    def _drain(self, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait for so many results."""
        until = time.monotonic() + _WITHIN_S
        with self._transport.consumer([RESULTS]) as results:
            while count > 0:
                assert process.poll() is None, "the worker ended"
                assert time.monotonic() < until, "the worker does not come to an end"
                deliveries = results.receive(limit=100, wait_s=1)
                results.ack(deliveries)
                count -= len(deliveries)


def _batches(log: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "batch"]


def memory(plant: Plant, model_address: str, files: dict[str, Path]) -> None:
    """Peak of the resident memory, by format and by number of decode threads."""
    loads = {name: [path] * _EACH for name, path in files.items()}
    loads["all common, mixed"] = [files[name] for name in _FORMATS] * (_EACH // 4)
    print(
        f"peak of resident memory, {plant.name}, {_EACH} pictures of 12 megapixels, MB (target: at most 350)"
    )
    print(f"  {'format':18} {'file MB':>7} {'2 threads':>10} {'4 threads':>10}  pictures/s with 2")
    for name, paths in loads.items():
        two, four = (plant.run(paths, model_address, threads=threads) for threads in (2, 4))
        size = statistics.fmean(path.stat().st_size for path in paths) / 2**20
        rate = len(paths) / two.seconds
        print(f"  {name:18} {size:7.1f} {two.peak_mb:10} {four.peak_mb:10} {rate:10.1f}", flush=True)


def overhead(plant: Plant, model_address: str, name: str, files: Sequence[Path]) -> None:
    """CPU per picture by stage, and the share that is neither decoding nor inference."""
    run = plant.run(files, model_address, threads=2, warm=_WARM)
    total, predict = run.each("cpu_ms"), run.each("predict_cpu_ms")
    rest = total - run.each("decode_cpu_ms", "encode_cpu_ms") - predict
    rate = (len(files) - _WARM) / run.seconds
    stages = ("decode", "encode", "predict", "fetch", "store", "publish", "ack")
    cpu = ", ".join(f"{stage} {run.each(f'{stage}_cpu_ms'):.2f}" for stage in stages)
    wall = ", ".join(
        f"{stage} {statistics.median(batch[f'{stage}_ms'] for batch in run.batches):.0f}"
        for stage in ("prepare", "predict", "publish", "ack", "total")
    )
    print(
        f"  {plant.name}, {name}: {rate:.1f} pictures/s, CPU of the worker {total:.1f} ms per picture\n"
        f"    of it: {cpu}\n"
        f"    overhead {rest:.2f} ms = {rest / total:.1%} (target: at most 10 %)\n"
        f"    wall time of a batch, ms: {wall}",
        flush=True,
    )


@contextlib.contextmanager
def plants(folder: Path) -> Iterator[list[Plant]]:
    """The two worlds, as far as they can be had here."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        blobs = (folder / "blobs").as_uri()
        found = [Plant("folder and PostgreSQL", folder, queue_url=database.url, blob_url=blobs)]
        if shutil.which("rabbitmqctl") is None:
            print("RabbitMQ is not installed: S3 and RabbitMQ are left out")
        else:
            node = stack.enter_context(RabbitNode(folder / "rabbit"))
            store = stack.enter_context(ObjectStore(folder / "s3"))
            os.environ.update(store.environment())
            bucket = f"s3://{store.make_bucket()}/bench"
            found.append(Plant("S3 and RabbitMQ", folder, queue_url=node.url, blob_url=bucket))
        yield found


def main() -> None:
    """Print memory first, then the stages."""
    null = ColourModel(served={"": model_spec(width=260, height=260)})
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-bench-") as home,
        plants(Path(home)) as found,
        ColourServer(null) as null_server,
    ):
        folder = Path(home)
        files = {}
        for name, data in large_pictures(_FORMATS + _RARE).items():
            files[name] = folder / name
            files[name].write_bytes(data)
        memory(found[-1], null_server.address, files)
        photos = write_photos(folder / "photos", _WARM + 256, long_side=1920)
        print("CPU by stage, photographs of 1920 px and a camera's of 12 megapixels, null model:")
        for plant in found:
            overhead(plant, null_server.address, "1920 px", photos)
            overhead(plant, null_server.address, "12 megapixels", [files["jpeg"]] * (_WARM + 96))
        print("with the default model behind its own server on the same cores:")
        with serving(default_models() / "tagger", folder) as real:
            for plant in found:
                overhead(plant, real.address, "1920 px", photos)
