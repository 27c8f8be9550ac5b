"""Connecting beside the working thread, which can so be told to wait no longer than it wants to.

A connection takes a dozen answers of the broker; where a network swallows packets each may be awaited for
many seconds before the attempt is given up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from pipeline.ports import TransportDownError
from pipeline.rabbitmq.subscription import ANSWER_GRACE_S, Subscription


class Opening:
    """A subscription that is being opened by a thread of its own, once.

    Args:
        subscribe: opens it, and calls its argument ``heard`` whenever the broker has answered.
    """

    def __init__(self, subscribe: Callable[..., Subscription]) -> None:
        self._subscribe = subscribe
        self._opened: Future[Subscription] = Future()
        self._heard = time.monotonic()
        # A daemon: a process that ends does not wait for a broker that is silent.
        threading.Thread(target=self._open, name="amqp opening", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end, well or not."""
        return self._opened.done()

    def wait(self, until: float) -> Subscription:
        """The subscription; longer than ``until`` is waited only while the broker answers.

        Raises:
            TransportDownError: the broker cannot be reached; or it has not answered yet, and one may wait
                again.
        """
        while True:
            patient_until = max(until, self._heard + ANSWER_GRACE_S)
            try:
                return self._opened.result(max(0.0, patient_until - time.monotonic()))
            except FutureTimeoutError:
                if self.is_over or self._heard + ANSWER_GRACE_S > time.monotonic():
                    continue
                raise TransportDownError("the broker has not answered yet") from None

    def abandon(self) -> None:
        """Nobody wants it any more: it is closed as soon as it is open, by the thread that opens it."""
        self._opened.add_done_callback(_close)

    def _open(self) -> None:
        try:
            self._opened.set_result(self._subscribe(heard=self._hear))
        except Exception as error:  # noqa: BLE001  # belongs to the thread that waits
            self._opened.set_exception(error)

    def _hear(self) -> None:
        self._heard = time.monotonic()


def _close(opened: Future[Any]) -> None:
    if opened.exception() is None:
        opened.result().close()
