"""What is told of a batch, in a line and in metrics: what became of it and how long every stage took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from pipeline.messages import Outcome
from workers.metrics import PICTURE_STAGES, count_batch
from workers.picture_work import PictureWork

_log = structlog.get_logger()


class Clock:
    """Times one batch, in milliseconds; a stage that is repeated adds up."""

    def __init__(self, process_cpu: ProcessCpu) -> None:
        self._process_cpu = process_cpu
        self._began = time.perf_counter()
        self._wall_ms: dict[str, float] = {}
        self._cpu_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as part of that stage."""
        began, cpu_began = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - began, time.thread_time() - cpu_began
            self._wall_ms[name] = self._wall_ms.get(name, 0.0) + wall * 1000
            self._cpu_ms[name] = self._cpu_ms.get(name, 0.0) + cpu * 1000

    def tell(self, label: str, works: Sequence[PictureWork]) -> None:
        """Write the line and count the batch; every work has its result."""
        count_batch(works, self._wall_ms)
        results = [work.result for work in works if work.result is not None]
        model = next((result.model for result in results if result.model is not None), None)
        failed = [result for result in results if result.outcome is Outcome.FAILED]
        stages = {f"{name}_ms": spent for name, spent in self._wall_ms.items()}
        for name in PICTURE_STAGES:
            # Summed over the pictures, which several threads share: may exceed the wall time of prepare.
            stages[f"{name}_sum_ms"] = sum(work.stage_ms.get(name, 0.0) for work in works)
            stages[f"{name}_cpu_ms"] = sum(work.cpu_ms.get(name, 0.0) for work in works)
        for name, spent in self._cpu_ms.items():
            stages[f"{name}_cpu_ms"] = spent
        _log.info(
            "batch",
            queue=works[0].delivery.queue,
            label=label,
            model_version=model.version if model else None,
            pictures=len(results),
            failed=len(failed),
            reasons=sorted({str(result.reason) for result in failed}),
            queued_max_ms=max(work.stage_ms.get("queued", 0.0) for work in works),
            **{name: round(spent, 1) for name, spent in stages.items()},
            total_ms=round((time.perf_counter() - self._began) * 1000, 1),
            cpu_ms=round(self._process_cpu.since_last_ms(), 1),
        )


class ProcessCpu:
    """CPU time of the whole process from one batch to the next, its waiting in between included."""

    def __init__(self) -> None:
        self._told = time.process_time()

    def since_last_ms(self) -> float:
        """Milliseconds since the last call."""
        now = time.process_time()
        spent, self._told = now - self._told, now
        return spent * 1000
