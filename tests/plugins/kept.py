"""Processes that are started again when they die, as an orchestrator would; ended and paused one by one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dam.embedded import processes
from dam.embedded.processes import Program
from dam.embedded.state import ROOT
from tests.plugins.processes import wait_for

RESTART_AFTER_S = 0.5
"""Kubernetes starts what died at once, the first time."""

_LOOK_EVERY_S = 0.02
_STOP_WITHIN_S = 60.0


@dataclass(frozen=True)
class Exit:
    """How a process ended. ``code``: as of Popen, so -9 after a kill -9. ``meant``: we did it."""

    code: int
    meant: bool


class KeptProcess:
    """One place for a process, whose number changes when it dies. Made by :meth:`Keeper.add`."""

    def __init__(self, name: str, program: Program, log: Path) -> None:
        self.name = name
        self.program = program
        self.log = log
        self.exits: list[Exit] = []
        self.starts = 0
        self._once: Sequence[str] | None = None
        self._wanted = False
        self._meant = False
        self._process: subprocess.Popen[bytes] | None = None
        self._died_at = -RESTART_AFTER_S
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Its number, while it runs."""
        with self._lock:
            return None if self._process is None else self._process.pid

    def start(self, *, once: Sequence[str] | None = None) -> None:
        """Keep it running from now on; returns when it has a number.

        Args:
            once: run this command instead, until it dies, which is then meant.
        """
        with self._lock:
            self._once, self._wanted, self._died_at = once, True, -RESTART_AFTER_S
        wait_for(lambda: self.pid is not None, 30, f"a process of {self.name}")

    def stop(self) -> int:
        """SIGTERM, once the process is so far that it handles one; returns the exit code."""
        wait_for(lambda: self.pid is None or self._handles_sigterm(), 60, f"a handler in {self.name}")
        with self._lock:
            self._wanted = False
            before = len(self.exits)
            if self._process is None:
                return 0
            self._signal(signal.SIGTERM)
        wait_for(lambda: len(self.exits) > before, _STOP_WITHIN_S, f"the end of {self.name}: {self.tail()}")
        return self.exits[-1].code

    def kill(self, *, again: bool = True) -> None:
        """kill -9 with all that it started; it comes again by itself, or (not ``again``) by ``start``."""
        with self._lock:
            assert self._process is not None, f"{self.name} does not run"
            self._meant, self._wanted = True, again
            os.killpg(self._process.pid, signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def wait_for_exit(self, exits: int, within_s: float) -> Exit:
        """The first end after so many, waited for."""
        wait_for(lambda: len(self.exits) > exits, within_s, f"the end of {self.name}: {self.tail()}")
        return self.exits[exits]

    def wait_for_start(self, starts: int) -> None:
        """Return when it was started more than ``starts`` times."""
        wait_for(lambda: self.starts > starts, 30, f"the next start of {self.name}")

    def said(self) -> str:
        """All that it wrote, over all its lives."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 20) -> str:
        """The end of what it wrote."""
        return "\n".join(self.said().splitlines()[-lines:])

    def peak_memory(self) -> int:
        """Most resident memory of the process that runs now, in bytes; 0 if none does."""
        return int(self._status().get("VmHWM", "0 kB").split()[0]) * 1024

    def _handles_sigterm(self) -> bool:
        caught = int(self._status().get("SigCgt", "0"), 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def _status(self) -> dict[str, str]:
        """What Linux says of the process that runs now; empty if none does."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return {}
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            assert self._process is not None, f"{self.name} does not run"
            if number == signal.SIGTERM:
                self._meant = True
            self._process.send_signal(number)

    # Called by the keeper's thread only.

    def look(self) -> None:
        """Note an end; start it where it is missing."""
        with self._lock:
            if self._process is not None and processes.has_ended(self._process):
                code = processes.reap(self._process)
                self.exits.append(Exit(code, self._meant or self._once is not None))
                self._process, self._meant, self._once = None, False, None
                self._died_at = time.monotonic()
            due = time.monotonic() >= self._died_at + RESTART_AFTER_S
            if self._wanted and self._process is None and due:
                command = self.program.command if self._once is None else self._once
                program = Program(
                    command, self.program.env, self.program.cwd, death_signal=self.program.death_signal
                )
                with self.log.open("ab") as log:
                    self._process = processes.spawn(program, log)
                self.starts += 1

    def give_up(self) -> None:
        """End it for good and by force, with all that it started: what it works on goes with the test."""
        with self._lock:
            self._wanted = False
            if self._process is not None:
                processes.reap(self._process)
                self._process = None


class Keeper:
    """Looks after processes, in a thread of its own: they die with it, should the test be killed."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self.environment = environment
        self.kept: list[KeptProcess] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper")
        logs.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        name: str,
        command: Sequence[str],
        *,
        death_signal: signal.Signals = signal.SIGKILL,
        **environment: str,
    ) -> KeptProcess:
        """A process that is not started yet. Those added last are ended first."""
        program = Program(command, {**self.environment, **environment}, ROOT, death_signal=death_signal)
        kept = KeptProcess(name, program, self._logs / f"{name.replace(' ', '_')}.log")
        self.kept.append(kept)
        return kept

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._closing.set()
        self._thread.join()

    def unmeant_exits(self) -> dict[str, list[int]]:
        """Who ended without being ended by us, and with which codes."""
        codes = {kept.name: [end.code for end in kept.exits if not end.meant] for kept in self.kept}
        return {name: found for name, found in codes.items() if found}

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_EVERY_S):
            for kept in list(self.kept):
                kept.look()
        # In this thread still: its end would kill what runs.
        for kept in reversed(self.kept):
            kept.give_up()


def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether the condition came true in that time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
