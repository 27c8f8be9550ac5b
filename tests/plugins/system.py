"""The whole embedded system, started as a user starts it, for the tests without mocks and the benchmarks."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from tests.plugins.processes import is_ready

_ROOT = Path(__file__).resolve().parents[2]
_READY_WITHIN_S = 240
_LINK = re.compile(r"https?://\S+/sign-in/link/\S+")


class System:
    """One embedded system on a home of its own."""

    def __init__(self, home: Path, *, models: Path | None = None) -> None:
        self.home = home
        self._process: subprocess.Popen[str] | None = None
        self._tokens: dict[str, str] = {}
        self.output = home.with_name(f"{home.name}.out")
        if models is not None and not (home / "models").exists():
            shutil.copytree(models, home / "models")

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "DATABASE_URL" and not name.startswith(("VITRINE_", "DJANGO_", "PYTEST_"))
        }
        # Once a minute by itself, which is long to wait for.
        looks = {"VITRINE_MONITOR_PLACES_EVERY_S": "5"}
        return kept | looks | {"VITRINE_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def start(self) -> Self:
        """Start it and wait until it says where it is."""
        began = time.monotonic()
        with self.output.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dam.embedded"],
                cwd=_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        wait_for(self._ready, within_s=_READY_WITHIN_S, what=lambda: f"start: {self.said()}")
        self.start_seconds = time.monotonic() - began
        return self

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.said()}"
        if "address" not in self.state():
            return False
        return is_ready(f"{self.address}/readyz")

    def said(self) -> str:
        return self.output.read_text()

    def state(self) -> dict[str, Any]:
        try:
            return json.loads((self.home / "run" / "system.json").read_text())
        except FileNotFoundError:
            return {}

    @property
    def address(self) -> str:
        return str(self.state()["address"])

    def sign_in_link(self) -> str:
        """The one-time link that it printed."""
        wait_for(lambda: _LINK.search(self.said()) is not None, within_s=30, what=lambda: "the link")
        found = _LINK.search(self.said())
        assert found is not None
        return found.group()

    def pids(self) -> set[int]:
        """The supervisor and everything below it."""
        assert self._process is not None
        return {self._process.pid, *_descendants(self._process.pid)}

    def stop(self) -> int:
        """Ctrl-C; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        code = self._process.wait(timeout=90)
        self._process = None
        return code

    def kill_supervisor(self) -> None:
        """kill -9 of the process that all others were started by."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)
        self._process = None

    def kill_everything(self) -> None:
        """kill -9 of every process at once."""
        assert self._process is not None
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait(timeout=30)
        self._process = None
        wait_for(lambda: not any(_runs(pid) for pid in pids), within_s=30, what=lambda: f"end of {pids}")

    def close(self) -> None:
        if self._process is not None:
            self.stop()

    def cli(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A ``vitrine`` command beside the running system."""
        return subprocess.run(
            [sys.executable, "-m", "dam.cli", *words],
            cwd=_ROOT,
            env=self.environment,
            check=check,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def cli_started(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dam.cli", *words],
            cwd=_ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ledger(self) -> dict[str, Any]:
        return json.loads(self.cli("ledger", "--json").stdout)

    def api(self, user: str = "admin") -> requests.Session:
        """A session of the REST interface with a token of that user."""
        if user not in self._tokens:
            self._tokens[user] = self.cli("create_token", user, "--create").stdout.strip().split()[-1]
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._tokens[user]}"
        return session


def wait_for(condition: Callable[[], bool], *, within_s: float, what: Callable[[], str]) -> None:
    """Wait on a condition of another process."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what()}"
        time.sleep(0.05)


def _descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    front = [pid]
    while front:
        for child in children.get(front.pop(), []):
            found.add(child)
            front.append(child)
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, model_dir: Path) -> Iterator[System]:
    """One running system for every test that adds to it and harms nothing."""
    system = System(tmp_path_factory.mktemp("system") / "home", models=model_dir).start()
    yield system
    system.close()


@pytest.fixture
def own_system(tmp_path: Path, model_dir: Path) -> Iterator[System]:
    """A system of its own, not started, for a test that breaks it."""
    system = System(tmp_path / "home", models=model_dir)
    yield system
    system.close()
