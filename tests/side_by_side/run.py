"""Two runs of pytest at the same time, each with services of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.plugins import ports
from tests.side_by_side.report import Report, progress, read_report, together

INTERRUPTED = 130
_LOOK_EVERY_S = 0.2
_TELL_EVERY_S = 60
_ENDS_WITHIN_S = 120
"""How long a run may take to stop the services of its session after Ctrl-C."""


@dataclass(frozen=True)
class Run:
    """One pytest that runs."""

    name: str
    process: subprocess.Popen[bytes]
    output: Path
    junit: Path

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def so_far(self) -> str:
        """``first 40 %, 1 failed``."""
        percent, failed = progress(self.output.read_text(encoding="utf-8", errors="replace"))
        return f"{self.name} {percent} %" + (f", {failed} failed" if failed else "")

    def report(self) -> Report:
        """What it wrote; one that ended without a word has failed."""
        if self.junit.exists():
            return read_report(self.junit)
        report = Report(failures=[(f"the {self.name} run", f"ended with {self.process.returncode}")])
        report.counts["failed"] = 1
        return report


def side_by_side(
    runs: dict[str, Sequence[str]],
    *,
    root: Path,
    work: Path,
    tell: Callable[[str], None],
) -> int:
    """Run pytest for each of several lists of files, at the same time.

    Ctrl-C ends them so that they stop what they have started; a second one kills all that is left.

    Args:
        runs: files by the name of the run, relative to ``root``.
        root: the repository.
        work: for outputs (NAME.out), JUnit files (NAME.xml) and caches; what is there is removed.
        tell: gets progress, outputs and summary.

    Returns:
        0 if every run ended well, 130 after Ctrl-C, else 1.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    began = time.monotonic()
    shares = ports.shares(len(runs))
    started: list[Run] = []
    untold: list[Run] = []
    interrupted = False
    try:
        for (name, files), share in zip(runs.items(), shares, strict=True):
            started.append(_start(name, files, root=root, work=work, share=share))
            untold.append(started[-1])
        _watch(untold, began, tell)
    except KeyboardInterrupt:
        interrupted = True
        tell("Stopping; Ctrl-C once more does not wait …")
        _end(started)
        for run in untold:
            tell(_whole_output(run))
    whole = together(run.report() for run in started)
    tell(f"{' all together ':=^100}")
    for name, message in whole.failures:
        tell(f"FAILED {name} - {message}")
    tell(f"{whole.in_words()} in {_minutes(began)} ({work}/*.out)")
    if interrupted:
        return INTERRUPTED
    return 0 if not whole.failures and all(run.process.returncode == 0 for run in started) else 1


def _start(name: str, files: Sequence[str], *, root: Path, work: Path, share: str) -> Run:
    output, junit = work / f"{name}.out", work / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", f"--junitxml={junit}", "-o", f"cache_dir={work / name}"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            [*command, *files],
            cwd=root,
            env=os.environ | {ports.SHARE: share},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # Ctrl-C in the terminal reaches only us, and not what the tests have started.
            start_new_session=True,
        )
    return Run(name, process, output, junit)


def _watch(running: list[Run], began: float, tell: Callable[[str], None]) -> None:
    """Wait for all of them; each one's output is told when it ends, and it is taken off the list."""
    told_at = began
    while running:
        for run in [run for run in running if run.has_ended]:
            running.remove(run)
            tell(_whole_output(run))
        if running and time.monotonic() - told_at > _TELL_EVERY_S:
            told_at = time.monotonic()
            tell(f"{_minutes(began)}: {'; '.join(run.so_far() for run in running)}")
        time.sleep(_LOOK_EVERY_S)


def _end(started: Sequence[Run]) -> None:
    """Interrupt them, wait until they have stopped what they started, and kill what is left."""
    below: set[psutil.Process] = set()
    deadline = time.monotonic() + _ENDS_WITHIN_S
    with contextlib.suppress(KeyboardInterrupt):
        for run in started:
            run.process.send_signal(signal.SIGINT)
        while not all(run.has_ended for run in started) and time.monotonic() < deadline:
            below |= _below(started)
            time.sleep(_LOOK_EVERY_S)
    below |= _below(started)
    for run in started:
        run.process.kill()
        run.process.wait()
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _below(started: Sequence[Run]) -> set[psutil.Process]:
    """What the runs and their children have started, in whatever session."""
    found: set[psutil.Process] = set()
    for run in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.update(psutil.Process(run.process.pid).children(recursive=True))
    return found


def _whole_output(run: Run) -> str:
    text = run.output.read_text(encoding="utf-8", errors="replace")
    return f"{f' the {run.name} run ':#^100}\n{text}"


def _minutes(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes}:{seconds:02} min"
