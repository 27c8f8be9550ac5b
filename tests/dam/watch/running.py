"""The loop of a watch, beside a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from dam.loops import watch as loop
from dam.loops.watch import Watch
from tests.dam.watch.places import SOON


@contextmanager
def running(watch: Watch, **options: object) -> Iterator[threading.Event]:
    """The loop in a thread."""
    stop, failures = threading.Event(), []
    watch.should_stop = stop.is_set

    def work() -> None:
        try:
            loop.run(watch, stop, **options)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(SOON)
        assert not thread.is_alive()
        assert failures == []
