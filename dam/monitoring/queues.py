"""How long the queues are and who reads them; a broker that hangs holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from django.conf import settings

from pipeline.ports import TransportDownError
from pipeline.transports import transport_from_url

PATIENCE_S = 5.0
"""So long a page that people look at waits for the broker."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue, or dead-letter queue, of the broker."""

    name: str
    ready: int
    held: int | None
    """By consumers; None: the broker does not tell (RabbitMQ)."""
    consumers: int


def queues_read() -> tuple[QueueState, ...]:
    """Every declared queue, in the order of its declaration. May take as long as the broker hangs.

    Raises:
        TransportDownError: the broker does not answer, or a queue is not declared yet.
    """
    with transport_from_url(settings.QUEUE_URL) as transport:
        return tuple(
            QueueState(name, depth.ready, depth.held, depth.consumers)
            for name, depth in transport.depths().items()
        )


class QueueReader:
    """Reads the queues beside the thread that asks, which so waits no longer than it wants to.

    Args:
        read: asks the broker.
    """

    def __init__(self, read: Callable[[], tuple[QueueState, ...]] = queues_read) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._look: Future[tuple[QueueState, ...]] | None = None

    def read(self, *, within_s: float = PATIENCE_S) -> tuple[QueueState, ...]:
        """The queues as they are. Many threads may ask at once: they share one look at the broker.

        Raises:
            TransportDownError: the broker does not answer, or has not answered yet.
        """
        with self._lock:
            look = self._look
            if look is None or look.done():
                look = self._look = Future()
                # A daemon: a process that ends does not wait for a broker that is silent.
                threading.Thread(target=self._ask, args=(look,), name="queues", daemon=True).start()
        try:
            return look.result(within_s)
        except FutureTimeoutError:
            raise TransportDownError(f"the broker has not answered for {within_s:g} s") from None

    def _ask(self, look: Future[tuple[QueueState, ...]]) -> None:
        try:
            look.set_result(self._read())
        except Exception as error:  # noqa: BLE001  # belongs to the thread that waits
            look.set_exception(error)


_reader = QueueReader()


def queues_within(within_s: float = PATIENCE_S) -> tuple[QueueState, ...]:
    """The queues, or the news that the broker does not answer, after so many seconds at the latest.

    Raises:
        TransportDownError: the broker does not answer, or has not answered yet.
    """
    return _reader.read(within_s=within_s)
