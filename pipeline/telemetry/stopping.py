"""SIGTERM and SIGINT ask a process to end, whatever its main thread does at that moment.

A handler written in Python runs in the main thread, and only between two of its instructions: one that waits
for a lock or an event without a time limit hears nothing of a signal that came just before it began to wait,
or that another thread was given. And a handler that sets an event waits for ever if the code that it
interrupts holds the event's lock. So nothing is done in a handler: the interpreter's own, in C, writes the
signal's number to a pipe at once, and a thread reads it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_ASK_TO_END = (signal.SIGTERM, signal.SIGINT)
_ALL_OF_A_PIPE = 1 << 16


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the loop then finishes what it holds.

    Only from the main thread, as :func:`call_on_signals`.
    """
    stop = threading.Event()
    call_on_signals(stop.set)
    return stop


def call_on_signals(ask: Callable[[], None]) -> None:
    """From now on SIGTERM and SIGINT only call this, in a thread of its own; of two calls, the later counts.

    A process that is forked without a new program ends by these signals, as any other does.

    Args:
        ask: called for each signal; those that come together may count as one.

    Raises:
        ValueError: this is not the main thread.
    """
    told, tell = os.pipe()
    # The handler in C may not wait.
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    # Without a handler of Python's there is none in C.
    for number in _ASK_TO_END:
        signal.signal(number, _do_nothing)
    threading.Thread(target=_listen, args=(told, ask), name="signals", daemon=True).start()


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """The pipe has told it already."""


def _listen(told: int, ask: Callable[[], None]) -> None:
    # Every signal that anybody handles is written there. All are read at once: were the pipe full of those of
    # others, one of ours would be lost.
    while numbers := os.read(told, _ALL_OF_A_PIPE):
        for number in _ASK_TO_END:
            if number in numbers:
                ask()
    os.close(told)


def _leave_to_parent() -> None:
    """The pipe is the parent's, to whom a signal of its child says nothing; and the thread is not here."""
    if signal.getsignal(signal.SIGTERM) is _do_nothing:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)


os.register_at_fork(after_in_child=_leave_to_parent)
