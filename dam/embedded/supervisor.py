"""Keeps a set of services running, and stops them in order.

Everything happens on the thread that calls: children die with the thread that started them.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

from dam.embedded import processes
from dam.embedded.console import Teller
from dam.embedded.errors import EmbeddedError
from dam.embedded.logs import LogFile
from dam.embedded.processes import Program

LOOK_EVERY_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_LIMIT_LOGS_EVERY_S = 60.0

SETTLED_S = 30.0
"""Who lived so long was running well; an earlier end counts towards giving up."""
MOST_QUICK_ENDS = 5


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """We were asked to stop while something else was going on."""


class Service(Protocol):
    """Something that runs until it is stopped."""

    name: str
    log: LogFile
    stop_within_s: float

    def start(self) -> None:
        """Start it, the first time or again.

        Raises:
            EmbeddedError: it does not start.
        """
        ...

    def has_ended(self) -> bool:
        """Whether it was started and has ended."""
        ...

    def ask_to_stop(self) -> None:
        """Begin a clean stop; returns at once."""
        ...

    def end(self) -> int:
        """Make sure that nothing of it is left. Returns the exit code."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        ...


class Child:
    """A service that is one process (and what that starts)."""

    def __init__(self, name: str, program: Program, *, log: LogFile, stop_within_s: float = 15.0) -> None:
        self.name = name
        self.program = program
        self.log = log
        self.stop_within_s = stop_within_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process."""
        with self.log.open() as output:
            self._process = processes.spawn(self.program, output)

    def has_ended(self) -> bool:
        """Whether the process was started and has ended."""
        return self._process is not None and processes.has_ended(self._process)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self._process is not None and not self.has_ended():
            self._process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Kill what is left of it."""
        if self._process is None:
            return 0
        code = processes.reap(self._process)
        self._process = None
        return code


@dataclass(slots=True)
class _Watched:
    service: Service
    started: float = 0.0
    quick_ends: int = 0
    again_at: float | None = None
    """When to start it again, after it ended."""


@dataclass(slots=True)
class Supervisor:
    """Runs services, starts again what ends, gives up on what keeps ending.

    Args:
        tell: where to say what happens.
        on_change: called with the process ids by name whenever they change.
    """

    tell: Teller
    on_change: Callable[[dict[str, int]], None] = lambda _pids: None
    _watched: list[_Watched] = field(default_factory=list)
    _stop_requests: int = 0
    _logs_limited: float = field(default_factory=time.monotonic)

    def listen_to_signals(self) -> None:
        """From now on, SIGINT, SIGTERM and SIGHUP ask to stop; a second one hastens it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup the end of the terminal is none of our business.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._asked)

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_requests += 1

    def start(self, service: Service) -> None:
        """Start a service and keep it running from now on.

        Raises:
            EmbeddedError: it does not start.
            Stopped: we were asked to stop.
        """
        self._check_stop()
        service.start()
        self._watched.append(_Watched(service, started=time.monotonic()))
        self._report()

    def run_until_stopped(self) -> None:
        """Keep everything running until somebody asks to stop.

        Raises:
            EmbeddedError: a service keeps ending.
        """
        with contextlib.suppress(Stopped):
            while True:
                self.look()
                time.sleep(LOOK_EVERY_S)

    def wait_for(
        self,
        condition: Callable[[], bool],
        *,
        what: str,
        within_s: float,
        progress: Callable[[], None] | None = None,
    ) -> None:
        """Keep everything running until ``condition`` is true.

        Raises:
            EmbeddedError: a service keeps ending, or the time is over.
            Stopped: we were asked to stop.
        """
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{what} took longer than {within_s:.0f} seconds.")
            if progress is not None:
                progress()
            self.look()
            time.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Look after the services once.

        Raises:
            EmbeddedError: a service keeps ending.
            Stopped: we were asked to stop.
        """
        self._check_stop()
        now = time.monotonic()
        for watched in self._watched:
            if watched.again_at is None:
                if watched.service.has_ended():
                    self._ended(watched, now)
            elif now >= watched.again_at:
                self._start_again(watched)
        if now - self._logs_limited > _LIMIT_LOGS_EVERY_S:
            self._logs_limited = now
            for watched in self._watched:
                watched.service.log.limit()

    def stop(self, order: Sequence[Sequence[str]]) -> None:
        """Stop every service: one group of names after the other, those of a group together, then the rest.

        Each is given its time, and killed when that is over or when we are asked to stop once more.
        """
        running = {watched.service.name: watched.service for watched in self._watched}
        # Nothing may be started again by now.
        self._watched = []
        asked = self._stop_requests
        for names in [*order, list(running)]:
            group = [running.pop(name) for name in names if name in running]
            for service in group:
                service.ask_to_stop()
            began = time.monotonic()
            for service in group:
                while (
                    not service.has_ended()
                    and service.pid is not None
                    and time.monotonic() - began < service.stop_within_s
                    and self._stop_requests == asked
                ):
                    time.sleep(LOOK_EVERY_S / 2)
                if not service.has_ended() and service.pid is not None:
                    self.tell.say(f"{service.name} does not end by itself and is killed.")
                service.end()
        self._report()

    def _check_stop(self) -> None:
        if self._stop_requests:
            raise Stopped

    def _ended(self, watched: _Watched, now: float) -> None:
        service = watched.service
        code = service.end()
        if now - watched.started > SETTLED_S:
            watched.quick_ends = 0
        watched.quick_ends += 1
        said = f"{service.name} ended ({_describe(code)})"
        if watched.quick_ends >= MOST_QUICK_ENDS:
            raise EmbeddedError(
                f"{said}, for the {MOST_QUICK_ENDS}th time in short order, so Vitrine stops. The end of "
                f"{service.log.path}:\n\n{service.log.tail()}"
            )
        pause_s = min(_FIRST_PAUSE_S * 2 ** (watched.quick_ends - 1), _LONGEST_PAUSE_S)
        watched.again_at = now + pause_s
        self.tell.say(f"{said}; it is started again in {pause_s:.1f} s. Its log: {service.log.path}")
        self._report()

    def _start_again(self, watched: _Watched) -> None:
        watched.again_at = None
        watched.service.start()
        watched.started = time.monotonic()
        self._report()

    def _report(self) -> None:
        self.on_change(
            {
                watched.service.name: pid
                for watched in self._watched
                if (pid := watched.service.pid) is not None
            }
        )


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def log_of(home: Path, name: str) -> LogFile:
    """The log of a child of that name."""
    return LogFile(home / "logs" / f"{name}.log")
