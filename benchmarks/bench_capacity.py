"""What sizing needs: CPU seconds, memory and bytes of a picture in every process, and the plan that follows.

A whole system in the shape of production (PostgreSQL, RabbitMQ, an S3 server, the default model behind the
local stand-in for TensorFlow Serving, every process by its own command) takes imports and uploads. Figures
are CPU seconds of the processes, without what they take at rest, so other work on the machine disturbs them
little; only the writer's results per second are by the clock.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psycopg
import structlog
from PIL import Image

from benchmarks import bench_writer, sizing
from benchmarks.catalogue import catalogue, import_pictures
from benchmarks.footprint import Watch, cpu_seconds, most_resident, resident
from benchmarks.sizing import Costs
from benchmarks.whole_system import System, child_of_ours
from pipeline.tfserving.client import TensorFlowServing
from pipeline.topology import BULK, RESULTS
from pipeline.transports import transport_from_url
from tests.plugins.model_server import default_models
from tests.plugins.photos import write_photos
from tests.plugins.processes import wait_for

A_DAY = (10_000, 100_000, 1_000_000, 10_000_000)
EXAMPLE = 1_000_000
_IMPORTED = {"2 MP": 1_024, "12 MP": 256}
_UPLOADED = 64
_REST_S = 30
_BATCHES = (1, 8, 32)
_PREDICTED = 256
_WRITTEN = 5_000
_MESSAGES = 32
_WITHIN_S = 1_800
_CHAIN = ("web", "relay", "worker", "model-server", "writer", "database", "broker")
"""What a picture passes, and needs CPUs of the cluster."""


def large_photos(folder: Path, count: int) -> list[Path]:
    """JPEGs of 12 megapixels as a camera's: photographs with the noise of a sensor."""
    grain = np.random.default_rng(1).normal(0, 3, (3000, 4000, 1)).astype(np.float32)
    found = []
    for number, path in enumerate(write_photos(folder / "small", count, seed=9, long_side=1600)):
        with Image.open(path) as small:
            pixels = np.asarray(small.resize((4000, 3000), Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(pixels + np.roll(grain, 97 * number, axis=1), 0, 255).astype(np.uint8)
        found.append(folder / f"large_{number:02}.jpg")
        Image.fromarray(noisy).save(found[-1], quality=90)
    return found


def copies(files: Sequence[Path], folder: Path, count: int) -> Path:
    """A folder with so many files of equal pictures and different bytes: each gets a comment of its own."""
    folder.mkdir()
    for number, path in zip(range(count), itertools.cycle(files), strict=False):
        comment = f"{folder.name}.{number}".encode()
        segment = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
        data = path.read_bytes()
        (folder / f"{number:05}.jpg").write_bytes(data[:2] + segment + data[2:])
    return folder


class Meter:
    """Watches a system while it rests and while it works."""

    def __init__(self, system: System) -> None:
        self.pids = system.pids
        self._connection = psycopg.connect(system.postgres.url, autocommit=True)
        with Watch(self.pids) as watch:
            time.sleep(_REST_S)
        self.resting = {name: spent / _REST_S for name, spent in watch.cpu.items()}
        """Process → CPU seconds a second while nothing happens."""
        self.idle = {name: resident(pid) for name, pid in self.pids.items()}
        """Process → bytes in memory before any work."""
        self.peaks = dict(self.idle)
        """Process → most bytes in memory."""

    def spent(self, work: Callable[[], None], count: int) -> dict[str, float]:
        """CPU seconds of each process for one of ``count`` pictures, until all have their answer."""
        wanted = self._closed() + count
        began = time.monotonic()
        with Watch(self.pids) as watch:
            work()
            while self._closed() < wanted:
                assert time.monotonic() < began + _WITHIN_S, "the pictures are not all answered"
                time.sleep(0.5)
        lasted = time.monotonic() - began
        for name, pid in self.pids.items():
            self.peaks[name] = max(self.peaks[name], watch.peaks[name], most_resident(pid))
        return {name: max(0.0, cpu - lasted * self.resting[name]) / count for name, cpu in watch.cpu.items()}

    def _closed(self) -> int:
        return self._number("SELECT count(*) FROM jobs_taggingjob WHERE state IN ('done', 'failed')")

    def log_bytes(self) -> int:
        """What the database has written to its log so far."""
        return self._number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")

    def table_bytes(self) -> Counter[str]:
        """Table → bytes with its indexes and what lies outside of its rows, after a vacuum."""
        self._connection.execute("VACUUM ANALYZE")
        rows = self._connection.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return Counter({str(name): int(size) for name, size in rows})

    def _number(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])


def predicted(system: System) -> dict[int, float]:
    """Size of a batch → CPU seconds of the model server for one picture."""
    pid = system.pids["model-server"]
    predictor = TensorFlowServing([system.environment["VITRINE_MODEL_SERVERS"]], model_name="tagger")
    spec = predictor.spec().preprocess
    shape = (max(_BATCHES), spec.height, spec.width, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = {}
    for batch in _BATCHES:
        for _ in range(3):
            predictor.predict(pixels[:batch])  # oneDNN prepares itself for each size
        rounds = _PREDICTED // batch
        before = cpu_seconds(pid)
        for _ in range(rounds):
            predictor.predict(pixels[:batch])
        found[batch] = (cpu_seconds(pid) - before) / (rounds * batch)
    return found


def message_bytes(system: System, folder: Path) -> dict[str, float]:
    """Queue → mean bytes of a message, read while nobody takes it."""
    worker, writer = system.workers[0], system.writer
    worker.stop()
    writer.stop()
    system.take_import(folder)
    found = {BULK: _mean_body(system, BULK)}
    worker.start()
    found[RESULTS] = _mean_body(system, RESULTS)
    writer.start()
    return found


def _mean_body(system: System, queue: str) -> float:
    wait_for(lambda: system.depths()[queue].ready >= _MESSAGES, 300, f"messages in {queue}")
    with transport_from_url(system.node.url) as transport, transport.consumer([queue]) as consumer:
        return statistics.fmean(len(each.body) for each in consumer.receive(limit=_MESSAGES, wait_s=30))


def written() -> tuple[float, float, float]:
    """Results a second of one writer in full batches, and CPU seconds of writer and database for one."""
    # Models can be imported only once Django knows its settings.
    from dam.loops.results import BATCH  # noqa: PLC0415
    from dam.telemetry.process import collect_seldom  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    collect_seldom()
    labels = bench_writer.register_tags()
    _, jobs = import_pictures(2 * _WRITTEN, published=True)
    deliveries = bench_writer.answers(jobs, *labels)
    bench_writer.record(deliveries[:_WRITTEN], BATCH)  # warms both
    database = child_of_ours("postgres")
    before, began = cpu_seconds(database), time.process_time()
    seconds = bench_writer.record(deliveries[_WRITTEN:], BATCH)
    ours, theirs = time.process_time() - began, cpu_seconds(database) - before
    return _WRITTEN / seconds, ours / _WRITTEN, theirs / _WRITTEN


def main() -> None:
    """Print what was measured, and the plan."""
    with catalogue():
        rate, ours, theirs = written()
    print(
        f"one results writer in full batches, answers as in `make bench ARGS=writer`: {rate:,.0f} results/s; "
        f"CPU for one: writer {1000 * ours:.2f} ms, database {1000 * theirs:.2f} ms",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        files = {
            "2 MP": write_photos(folder / "photos", 128, long_side=1920),
            "12 MP": large_photos(folder, 16),
        }
        system = stack.enter_context(System(folder / "system", models=default_models()))
        system.start_rollout(stack)
        measure(system, folder, files)


def measure(system: System, folder: Path, files: Mapping[str, Sequence[Path]]) -> None:
    """Rest, imports, uploads, predictions; then the plan."""
    meter = Meter(system)
    warm = copies(files["2 MP"], folder / "warm", 64)
    meter.spent(lambda: system.take_import(warm), 64)
    costs = [_costs(system, meter, folder, kind, files[kind]) for kind in _IMPORTED]
    by_batch = predicted(system)
    for name, pid in meter.pids.items():
        meter.peaks[name] = max(meter.peaks[name], resident(pid), most_resident(pid))
    _print_processes(meter, costs)
    batches = ", ".join(f"{1000 * spent:.1f} ms in batches of {size}" for size, spent in by_batch.items())
    print(f"\nCPU of the model server for a picture: {batches}")
    sizes = message_bytes(system, copies(files["2 MP"], folder / "messages", _MESSAGES))
    print(", ".join(f"a message of {queue}: {size:,.0f} bytes" for queue, size in sizes.items()), flush=True)
    print("\n".join(sizing.rates(each) for each in costs))
    print(f"\n{sizing.FORMULAS}")
    for each in costs:
        print(f"\n{each.kind}, everything that comes in within a day spread evenly over it:\n")
        print(sizing.plan(each, A_DAY))
    print(f"\n{sizing.price(costs[-1], EXAMPLE)}", flush=True)


def _costs(system: System, meter: Meter, folder: Path, kind: str, files: Sequence[Path]) -> Costs:
    """Import and upload pictures of one kind; prints their bytes."""
    count = _IMPORTED[kind]
    imports = copies(files, folder / f"imported {kind}", count)
    uploads = copies(files, folder / f"uploaded {kind}", _UPLOADED)
    tables, log, objects = meter.table_bytes(), meter.log_bytes(), system.stored_bytes()
    cpu = meter.spent(lambda: system.take_import(imports), count)
    cpu |= {"web": meter.spent(lambda: system.take_uploads(uploads), _UPLOADED)["web"]}
    both = count + _UPLOADED
    log = meter.log_bytes() - log
    tables = meter.table_bytes() - tables
    objects = system.stored_bytes() - objects
    original = objects.pop("original")
    renditions = ", ".join(f"{name} {size / both:,.0f}" for name, size in sorted(objects.items()))
    largest = ", ".join(f"{name} {size / both:,.0f}" for name, size in tables.most_common(6))
    print(
        f"{kind}, {count} imported and {_UPLOADED} uploaded, bytes of a picture: "
        f"original {original / both:,.0f}, {renditions};\n"
        f"  database {tables.total() / both:,.0f} ({largest}), its log {log / both:,.0f}",
        flush=True,
    )
    spec = TensorFlowServing([system.environment["VITRINE_MODEL_SERVERS"]], model_name="tagger").spec()
    return Costs(
        kind=kind,
        cpu_s={name: cpu[name] for name in _CHAIN},
        others={name: spent for name, spent in cpu.items() if name not in _CHAIN},
        rest_cpus=sum(spent for name, spent in meter.resting.items() if name != "object store"),
        original=original / both,
        renditions=objects.total() / both,
        row=tables.total() / both,
        log=log / both,
        model_input=spec.preprocess.width * spec.preprocess.height * 3,
    )


def _print_processes(meter: Meter, costs: Sequence[Costs]) -> None:
    """Memory and CPU of every process; the file store's, MLflow's and so on, too."""
    kinds = [each.kind for each in costs]
    head = ["process", "memory idle, MB", "at its peak, MB", "CPU at rest, ms a second"]
    head += [f"CPU of a picture of {kind}, ms" for kind in kinds]
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for name in meter.pids:
        each = [{**found.cpu_s, **found.others}[name] for found in costs]
        cells = [name, f"{meter.idle[name] / 2**20:,.0f}", f"{meter.peaks[name] / 2**20:,.0f}"]
        cells += [f"{1000 * meter.resting[name]:.1f}", *(f"{1000 * spent:.1f}" for spent in each)]
        print(f"| {' | '.join(cells)} |")
