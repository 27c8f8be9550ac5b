"""What a set of processes costs: CPU seconds and memory of each, with all that it started."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil

_EVERY_S = 0.25


def tree(pid: int) -> list[psutil.Process]:
    """The process and everything below it; empty once it is gone."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its descendants, also of those that ended meanwhile."""
    total = 0.0
    for process in tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def resident(pid: int) -> int:
    """Bytes in memory: of one process its resident set; of several what they share is counted once.

    Anonymous memory by proportional share, and the mapped files of the process that has most of them.
    """
    anonymous, files = 0, [0]
    for process in tree(pid):
        try:
            shares = _fields(process.pid, "smaps_rollup")
            files.append(_fields(process.pid, "status")["RssFile"])
        except (FileNotFoundError, ProcessLookupError, KeyError):
            # It has ended, or has no memory any more.
            continue
        anonymous += shares["Pss_Anon"] + shares["Pss_Shmem"]
    return anonymous + max(files)


def most_resident(pid: int) -> int:
    """Bytes at the peak of its life; 0 where several processes share memory: theirs do not add up."""
    return _fields(pid, "status")["VmHWM"] if len(tree(pid)) == 1 else 0


def _fields(pid: int, name: str) -> dict[str, int]:
    """What a file of Linux says of a process in kB, as bytes."""
    lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line.endswith(" kB"))
    return {field: int(value.removesuffix("kB")) * 1024 for field, _, value in pairs}


class Watch:
    """Looks at the memory of processes four times a second until the block is left; their CPU over the block.

    Args:
        pids: name → number of the process at the top.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._peaks = dict.fromkeys(pids, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")
        self.cpu: dict[str, float] = {}
        """CPU seconds within the block, once it is left."""

    def __enter__(self) -> Self:
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.cpu = {name: cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}

    @property
    def peaks(self) -> dict[str, int]:
        """Most memory seen, in bytes."""
        return dict(self._peaks)

    def _look(self) -> None:
        while True:
            for name, pid in self._pids.items():
                self._peaks[name] = max(self._peaks[name], resident(pid))
            if self._stop.wait(_EVERY_S):
                return
