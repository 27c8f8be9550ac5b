"""Child processes that never outlive the supervisor, and finding those of an earlier one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_LAUNCHER = Path(__file__).with_name("launch.py")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system account under which a child runs."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    capability: int | None = None
    """The one capability (number of linux/capability.h) kept when root changes to this account."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a child runs and how."""

    command: Sequence[str]
    """Program with an absolute path, and its arguments."""
    env: Mapping[str, str]
    """The whole environment."""
    cwd: Path = Path("/")
    """Working folder; it must be there, and the account must be able to enter it."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the child gets when we die without saying goodbye."""
    account: Account | None = None
    """The account to become, which only root can. None: stay who we are."""
    pass_fds: Sequence[int] = ()
    """Open files that it inherits, under the same numbers."""


def spawn(program: Program, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that a Ctrl-C in the terminal reaches only us.

    The kernel sends ``death_signal`` when the *thread* that called this ends (Linux), so call it from a
    thread that lives as long as the process. A child that cannot be started ends with code 126.

    Args:
        program: what to run.
        output: where standard output and error go.
    """
    spec: dict[str, Any] = {
        "parent": os.getpid(),
        "death_signal": int(program.death_signal),
        "cwd": str(program.cwd),
    }
    account = program.account
    if account is not None and os.geteuid() == 0:
        spec |= {
            "uid": account.uid,
            "gid": account.gid,
            "groups": list(account.groups),
            "capability": account.capability,
        }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(spec), *program.command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(program.env),
        start_new_session=True,
        pass_fds=tuple(program.pass_fds),
    )


def stop(
    process: subprocess.Popen[bytes],
    *,
    steps: Sequence[tuple[signal.Signals, float]],
    hurry: Callable[[], bool] = lambda: False,
) -> int:
    """Send each signal and wait its seconds, then kill the whole session. Returns the exit code.

    ``hurry`` is asked while waiting: once it says yes, the next step comes at once.
    """
    for number, wait_s in steps:
        if has_ended(process):
            break
        process.send_signal(number)
        deadline = time.monotonic() + wait_s
        while not has_ended(process) and time.monotonic() < deadline and not hurry():
            time.sleep(0.02)
    return reap(process)


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has ended, leaving it unreaped so that its number cannot go to another process."""
    if process.returncode is not None:
        return True
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of the session of a child, and the child. Returns its exit code."""
    if process.returncode is None:
        # What the child started is in its session and must not stay behind when the child has gone.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def running(matches: Callable[[int], bool]) -> list[int]:
    """Process ids for which ``matches`` is true, without our own; empty where there is no /proc."""
    found = []
    for entry in _PROC.glob("[0-9]*"):
        pid = int(entry.name)
        # Processes come and go while we look, and those of others cannot be looked into.
        with contextlib.suppress(OSError):
            if pid != os.getpid() and matches(pid):
                found.append(pid)
    return found


def arguments(pid: int) -> list[str]:
    """The command line of a process; empty for a zombie."""
    return [os.fsdecode(part) for part in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[:-1]]


def environment_has(pid: int, name: str, value: str) -> bool:
    """Whether a process was started with that variable."""
    return os.fsencode(f"{name}={value}") in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")


def working_folder(pid: int) -> Path:
    """The current folder of a process.

    Raises:
        OSError: it is gone, or it belongs to somebody else.
    """
    return (_PROC / str(pid) / "cwd").readlink()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def end(pids: Callable[[], list[int]], *, steps: Sequence[tuple[signal.Signals, float]]) -> list[int]:
    """End processes that are not our children: send each signal, wait its seconds. Returns who is left."""
    for number, wait_s in steps:
        for pid in pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if not any(is_alive(pid) for pid in pids()):
                return []
            time.sleep(0.05)
    return [pid for pid in pids() if is_alive(pid)]
