"""What something answered last, asked beside the threads that want to know: what hangs holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import psycopg
from django.db import Error, connections
from django.utils import timezone

from pipeline.ports import DependencyDownError

T = TypeVar("T")

SILENT_AFTER_S = 10.0
"""An older answer says nothing of now."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """The last answer."""

    value: T | None = None
    """None: it failed, or nothing was answered yet."""
    problem: str = ""
    """Why it failed, in a line; empty if it did not."""
    read_at: datetime | None = None
    """None: nothing was answered yet."""
    silent_s: float = 0.0
    """For so long the question that is under way has had no answer; 0 if there is none."""

    @property
    def trouble(self) -> str:
        """Empty if there is an answer that counts, else what is wrong with whoever was asked."""
        if self.silent_s > SILENT_AFTER_S:
            return f"it has not answered for {self.silent_s:.0f} s"
        return "it has not answered yet" if self.read_at is None else self.problem


class Lately(Generic[T]):
    """Asks at most every few seconds, in a thread of its own; safe for many threads.

    Args:
        read: asks, for as long as that takes. Outages that it raises are told; anything else is a fault of
            ours, and comes out where threads' faults do.
        every_s: an answer younger than this is good enough.
        patience_s: what is waited for an answer as long as there is none at all, once.
    """

    def __init__(self, read: Callable[[], T], *, every_s: float, patience_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._waited = threading.Event()
        self._known: Known[T] = Known()
        self._answered = float("-inf")
        self._asked: float | None = None

    def known(self) -> Known[T]:
        """The last answer; a new one is asked for if it is old."""
        with self._lock:
            if self._asked is None and time.monotonic() - self._answered > self._every_s:
                self._asked = time.monotonic()
                # A daemon: a process that ends does not wait for whoever is silent.
                threading.Thread(target=self._ask, name="lately", daemon=True).start()
        self._waited.wait(self._patience_s)
        self._waited.set()
        with self._lock:
            if self._asked is None:
                return self._known
            silent_s = time.monotonic() - self._asked
            return Known(self._known.value, self._known.problem, self._known.read_at, silent_s)

    def _ask(self) -> None:
        known: Known[T] = Known(problem="it could not be asked", read_at=timezone.now())
        try:
            known = Known(value=self._read(), read_at=timezone.now())
        except (Error, psycopg.Error, DependencyDownError, OSError, ValueError) as error:
            # The first line says what is down; what follows may tell more than strangers need to know.
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            known = Known(problem=said, read_at=timezone.now())
        finally:
            # Of this thread, if it had any.
            connections.close_all()
            with self._lock:
                self._known, self._answered, self._asked = known, time.monotonic(), None
            self._waited.set()
