"""The embedded system as its user meets it: upload-to-tagged, pictures per second, CPU seconds per picture.

Latency: one picture at a time through REST on an idle machine, from the first byte sent until the API
says "tagged". Throughput: an import of pictures of 2 megapixels until the last is tagged. Beside it, in
turns, the bare work: the same decode, renditions and Predict in one loop, no catalogue, no queue.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from pipeline.ports import Predictor
from pipeline.preprocess import prepare, renditions
from pipeline.tfserving.client import TensorFlowServing
from tests.plugins.photos import write_photos
from tests.plugins.system import System

SINGLES = 40
IMPORTED = 240
ROUNDS = 3
STARTS = 3
_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: set[int]) -> float:
    """User and system time that these processes have used so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(field) for field in fields[11:15])
    return total / _TICK


def upload_to_tagged(system: System, paths: list[Path]) -> list[float]:
    """Seconds from the first byte sent to "tagged", for each picture in turn."""
    api = system.api()
    seconds = []
    for path in paths:
        began = time.perf_counter()
        with path.open("rb") as file:
            answer = api.post(f"{system.address}/api/v1/assets/", files={"file": file})
        answer.raise_for_status()
        url = f"{system.address}/api/v1/assets/{answer.json()['id']}/"
        while api.get(url).json()["state"] == "pending":
            time.sleep(0.01)
        seconds.append(time.perf_counter() - began)
    return seconds


def bare(predictor: Predictor, paths: list[Path], *, batch: int = 32) -> float:
    """Pictures per second of decode, renditions and Predict alone."""
    spec = predictor.spec().preprocess
    began = time.perf_counter()
    pixels = []
    for path in paths:
        picture = prepare(path.read_bytes(), spec)
        assert renditions(picture).files
        pixels.append(picture.pixels)
        if len(pixels) == batch or path is paths[-1]:
            predictor.predict(np.stack(pixels))
            pixels.clear()
    return len(paths) / (time.perf_counter() - began)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as folder:
        system = System(Path(folder) / "home").start()
        try:
            measure(system, Path(folder))
            starts = []
            for _ in range(STARTS):
                system.stop()
                starts.append(system.start().start_seconds)
            print(
                f"second start until pages answer, n={STARTS}: median {statistics.median(starts):.1f} s, "
                f"slowest {max(starts):.1f} s (target: at most 15 s)"
            )
        finally:
            system.close()


def measure(system: System, folder: Path) -> None:
    warm = write_photos(folder / "warm", 5, seed=1)
    upload_to_tagged(system, warm)

    singles = write_photos(folder / "singles", SINGLES, seed=2, long_side=1920)
    seconds = sorted(upload_to_tagged(system, singles))
    print(
        f"upload-to-tagged, one at a time, n={SINGLES}: median {statistics.median(seconds):.2f} s, "
        f"p95 {seconds[int(0.95 * SINGLES)]:.2f} s (target: median at most 1 s)"
    )

    predictor = TensorFlowServing(system.state()["model_servers"], model_name="tagger")
    rates, bares, cpu = [], [], []
    for number in range(ROUNDS):
        paths = write_photos(
            folder / f"import_{number}", IMPORTED // ROUNDS, seed=10 + number, long_side=1920
        )
        bares.append(bare(predictor, paths))
        before = cpu_seconds(system.pids())
        began = time.perf_counter()
        report = json.loads(system.cli("import", str(paths[0].parent), "--wait", "--json").stdout)
        rates.append(len(paths) / (time.perf_counter() - began))
        cpu.append((cpu_seconds(system.pids()) - before) / len(paths))
        assert report["tagged"] == len(paths), report
    print(
        f"import of {IMPORTED // ROUNDS} pictures of 1920 px, {ROUNDS} rounds in turn with the bare work "
        f"(the command's start included):\n"
        f"  system {statistics.median(rates):.1f}/s, bare {statistics.median(bares):.1f}/s, "
        f"ratio {statistics.median(r / b for r, b in zip(rates, bares, strict=True)):.2f}\n"
        f"  CPU of the running system: {statistics.median(cpu):.3f} s per picture"
    )
