"""``python -m workers`` as a process, with its log and its health."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.plugins.ports import free_ports
from tests.workers.desk import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
COMMAND = ("-m", "workers")


class WorkerProcess:
    def __init__(
        self, environment: dict[str, str], output: Path, *, command: tuple[str, ...] = COMMAND
    ) -> None:
        (self.port,) = free_ports(1)
        self.output = output
        ours = {"VITRINE_HEALTH_PORT": str(self.port), "VITRINE_LOG_FORMAT": "json", **environment}
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, **ours},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def metrics(self) -> dict[str, float]:
        """What ``/metrics`` says now, by name and labels as they are written there."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as response:
            lines = response.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.HTTPError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return False

    def unreadiness(self) -> str:
        """Why it is not ready, in its own words."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return ""
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode()
        except urllib.error.URLError:
            return ""

    def peak_mb(self) -> int:
        """The most memory that was resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (peak,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        return peak // 1024

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def events(self, name: str) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self.lines() if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def lines(self) -> list[str]:
        """What it wrote so far, on both of its outputs."""
        return self.output.read_text().splitlines()


StartProcess = Callable[..., WorkerProcess]
