"""What a command does with signals is undone after a test that calls it in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """SIGTERM and SIGINT do afterwards what they did before."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    told_before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(told_before)
    yield
    told = signal.set_wakeup_fd(told_before)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if told not in {-1, told_before}:
        os.close(told)  # which ends the thread that listens
