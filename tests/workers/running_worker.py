"""A worker that runs beside the test."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.telemetry.health import Health
from workers.batch import Ports
from workers.patience import Shutdown
from workers.settings import WorkerSettings
from workers.tagger import Tagger


class RunningWorker:
    """A worker in a thread of the test."""

    def __init__(self, settings: WorkerSettings, ports: Ports) -> None:
        self.shutdown = Shutdown(settings.shutdown_deadline_s)
        self.health = Health(max_silence_s=60)
        self._tagger = Tagger(settings, ports, self.shutdown, self.health)
        self._error: BaseException | None = None
        self.finished: bool | None = None
        """After the stop: whether everything that was delivered is answered."""
        self._thread = threading.Thread(target=self._run, name="worker")
        self._thread.start()

    def _run(self) -> None:
        try:
            self.finished = self._tagger.run()
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


# The type of the fixture start_worker.
Start = Callable[..., RunningWorker]
