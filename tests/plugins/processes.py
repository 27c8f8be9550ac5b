"""Waiting for processes and stopping them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return as soon as the condition holds; fail with ``what`` was waited for when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        time.sleep(0.02)


def asked(url: str, timeout_s: float = 10) -> requests.Response | None:
    """What a server answers; None while it does not: nobody listens, or it is too busy."""
    try:
        return requests.get(url, timeout=timeout_s)
    except (requests.ConnectionError, requests.Timeout):
        return None


def is_ready(url: str) -> bool:
    """Whether a probe's address says yes."""
    answer = asked(url)
    return answer is not None and answer.ok


@contextmanager
def stopped(process: subprocess.Popen[bytes], *, within_s: float = 60) -> Iterator[None]:
    """Ends the process when the block is left, however that happens."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
