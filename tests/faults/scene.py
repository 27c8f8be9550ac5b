"""What a fault sees of the system that it harms: how far the work is, and waiting for it to get there."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pipeline.ports import QueueDepth, TransportDownError
from pipeline.topology import BULK
from tests.plugins.kept import KeptProcess
from tests.plugins.plant import Plant

_LOOK_EVERY_S = 0.05
_AGAIN_AFTER_S = 1.0


class StuckError(Exception):
    """What had to happen did not, for very long."""


@dataclass(frozen=True)
class Progress:
    """Of jobs."""

    open: int
    published: int
    closed: int


class PartImport:
    """``vitrine import FOLDER`` beside everything else; run again if an outage ended it, as people would."""

    def __init__(self, plant: Plant, folder: Path) -> None:
        self._plant = plant
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name=f"import of {folder.name}")
        self.size = sum(1 for _ in folder.iterdir())
        self.runs = 0
        self.report: dict[str, Any] = {}
        self.complaint = ""

    def start(self) -> None:
        self._thread.start()

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """End it for good."""
        self._given_up = True
        if self._process is not None:
            self._process.kill()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._given_up:
            self.runs += 1
            self._process = self._plant.vitrine_started("import", str(self._folder), "--json")
            said, errors = self._process.communicate()
            if said:  # also with exit code 1: some files were refused, as they should be
                self.report = json.loads(said)
                return
            if "run it again" not in errors and "cannot be reached" not in errors:
                self.complaint = f"the import of {self._folder.name} failed: {errors[-2000:]}"
                return
            time.sleep(_AGAIN_AFTER_S)


class Scene:
    """One run's system, chance and clock.

    Args:
        plant: running.
        chance: decides everything that is left open.
        outage_scale: what outages are shortened to; 1: as long as they are described.
    """

    def __init__(self, plant: Plant, chance: random.Random, *, outage_scale: float) -> None:
        self.plant = plant
        self.chance = chance
        self._scale = outage_scale
        self.imports: list[PartImport] = []
        self.part_size = 0
        """Files in the part that comes next, or comes in now."""
        self.notes: list[str] = []
        self.complaints: list[str] = []
        """What should not have happened, though nothing may be lost by it."""

    def note(self, text: str) -> None:
        """Something for the table about the fault at hand."""
        self.notes.append(text)

    def import_part(self, folder: Path) -> PartImport:
        """Begin to import another folder."""
        part = PartImport(self.plant, folder)
        self.imports.append(part)
        part.start()
        return part

    def stop(self, process: KeptProcess) -> None:
        """SIGTERM; every process stops cleanly, whatever it does."""
        code = process.stop()
        if code != 0:
            self.complaints.append(f"{process.name} ended with {code} when it was asked to stop")

    def outage(self, seconds: float) -> None:
        """Let what is down be down for so long."""
        time.sleep(seconds * self._scale)

    def progress(self) -> Progress | None:
        """How far the jobs are; None while the database is away."""
        query = "SELECT state, count(*) FROM jobs_taggingjob GROUP BY state"
        try:
            counts = dict(self.plant.rows(query))
        except psycopg.OperationalError:
            return None
        published = counts.get("published", 0)
        return Progress(
            open=counts.get("queued", 0) + published,
            published=published,
            closed=counts.get("done", 0) + counts.get("failed", 0),
        )

    def depth(self, queue: str) -> QueueDepth | None:
        """How much is in a queue; None while the broker is away."""
        try:
            return self.plant.depths()[queue]
        except TransportDownError:
            return None

    def at_work(self) -> None:
        """Wait until the workers have something to do, and a moment longer."""
        self.wait(lambda: self._published() > 0, 120, "a published job")
        time.sleep(self.chance.uniform(0, 1.0) * self._scale)

    def workers_hold(self, messages: int) -> None:
        """Wait until so many are in the hands of the workers, who cannot answer now."""

        def held() -> bool:
            # The broker counts: of some published jobs it may have two messages.
            depth = self.depth(BULK)
            return depth is not None and self.plant.node.messages()[BULK] - depth.ready >= messages

        self.wait(held, 120, f"{messages} messages in the hands of the workers")

    def open_jobs(self) -> int:
        """Jobs without an answer in the catalogue; 0 while the database is away."""
        progress = self.progress()
        return progress.open if progress else 0

    def _published(self) -> int:
        progress = self.progress()
        return progress.published if progress else 0

    def wait(self, condition: Callable[[], bool], within_s: float, what: str) -> float:
        """Seconds until the condition held.

        Raises:
            StuckError: it did not in that time.
        """
        began = time.monotonic()
        while not condition():
            complaints = [part.complaint for part in self.imports if part.complaint]
            if complaints:
                raise StuckError("; ".join(complaints))
            if time.monotonic() - began > within_s:
                raise StuckError(f"waited {within_s:.0f} s for {what}; jobs: {self.progress()}")
            time.sleep(_LOOK_EVERY_S)
        return time.monotonic() - began
