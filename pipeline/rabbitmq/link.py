"""One connection and the one thread that owns it.

pika's connections are for one thread. Here that thread does nothing but input and output, so heartbeats
are answered however long the work takes; others hand it functions to run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import pika
from pika.channel import Channel
from pika.exceptions import AMQPConnectionError, AMQPError

from pipeline.ports import TransportDownError
from pipeline.rabbitmq.errors import in_words

ANSWER_WITHIN_S = 30.0
"""So long the broker may take for an answer before the connection is given up."""
_FAREWELL_S = 5.0

T = TypeVar("T")


class Link:
    """A connection with its I/O thread; open when the constructor returns, and never opened again.

    Args:
        parameters: of the connection.
        name: of the thread, and of the connection as the broker shows it.
        on_lost: called once in the I/O thread when the connection is gone, however that came.

    Raises:
        TransportDownError: the broker does not answer, or lets us not in.
    """

    def __init__(
        self,
        parameters: pika.URLParameters,
        *,
        name: str,
        on_lost: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        self._on_lost = on_lost
        self._lock = threading.Lock()
        # What is awaited, and until when the broker has to answer.
        self._due: dict[Future[Any], float] = {}
        self._reason: str | None = None
        self._blocked = ""
        self._blocked_since = 0.0
        self._ended = False
        parameters.client_properties = {"connection_name": f"vitrine {name}"}
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
        opened = self._expected()
        self._opened = opened
        self._thread = threading.Thread(target=self._own, name=f"amqp {name}", daemon=True)
        self._thread.start()
        try:
            self.wait(opened)
        except TransportDownError:
            self.close()
            raise

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._reason is not None

    def run(self, work: Callable[[], T]) -> T:
        """Run something short in the I/O thread; its result.

        Raises:
            TransportDownError: the connection is gone.
        """

        def question(answer: Future[T]) -> None:
            give(answer, work())

        return self.ask(question)

    def ask(self, question: Callable[[Future[T]], None]) -> T:
        """Run ``question`` in the I/O thread and wait until somebody gives an answer to its future.

        Raises:
            TransportDownError: see :meth:`wait`.
        """
        return self.wait(self.start(question))

    def start(self, question: Callable[[Future[T]], None]) -> Future[T]:
        """Run ``question`` in the I/O thread; the future that it has to give an answer to.

        Raises:
            TransportDownError: the connection is gone.
        """
        answer: Future[T] = self._expected()

        def put() -> None:
            if not answer.done():
                try:
                    question(answer)
                except AMQPError as error:  # it is breaking at this moment
                    self.drop(in_words(error))
                except Exception as error:  # noqa: BLE001  # belongs to the thread that asked
                    _fail(answer, error)
                    # Nobody knows how much of it was done.
                    self.drop("a request failed")

        self._soon(put)
        return answer

    def wait(self, answer: Future[T], *, until: float = float("inf")) -> T:
        """The answer, awaited until a time of ``time.monotonic()``.

        Raises:
            TransportDownError: the connection is gone, or is given up because the broker took longer than
                ``ANSWER_WITHIN_S``. Or it lives, and the answer may be awaited again: ``until`` is over, or
                an alarm of the broker has lasted ``ANSWER_WITHIN_S``.
        """
        while True:
            try:
                return answer.result(max(0.0, min(until, self._until(answer)) - time.monotonic()))
            except FutureTimeoutError:
                if answer.done():
                    return answer.result()
            now, patient_until = time.monotonic(), self._until(answer)
            if answer.done() or now < min(until, patient_until):
                continue  # an alarm has begun or ended, so it may take longer
            if self._blocked:
                raise TransportDownError(f"the broker does not answer: {self._blocked}")
            if now < patient_until:
                raise TransportDownError("the broker has not answered yet")
            reason = f"no answer within {ANSWER_WITHIN_S:.0f} s"
            self.drop(reason)
            raise TransportDownError(f"the broker does not answer: {reason}")

    def open_channel(self, on_closed: Callable[[str], None]) -> Channel:
        """A new channel; ``on_closed`` hears in the I/O thread why the broker closed it.

        Raises:
            TransportDownError: the connection is gone.
        """

        def question(answer: Future[Channel]) -> None:
            channel = self._connection.channel(on_open_callback=partial(give, answer))
            channel.add_on_close_callback(lambda _channel, error: on_closed(in_words(error)))

        return self.ask(question)

    def drop(self, reason: str) -> None:
        """Give the connection up; safe from every thread, does not wait."""
        self._lose(reason)
        self._soon(self._hang_up)

    def close(self) -> None:
        """End connection and thread; what was written before reaches the broker if it can."""
        if not self._blocked:  # a broker in alarm does not read
            self._soon(self._hang_up)
            self._thread.join(_FAREWELL_S)
        if self._thread.is_alive():
            # Nobody answers the farewell: the other end is cut off.
            self._soon(self._cut_off)
            self._thread.join(_FAREWELL_S)
        self._lose("closed")

    def _soon(self, work: Callable[[], object]) -> None:
        with self._lock:
            if not self._ended:
                self._connection.ioloop.add_callback_threadsafe(work)

    # ------------------------------------------------------- in the I/O thread

    def _own(self) -> None:
        try:
            self._connection.ioloop.start()
        finally:
            self._lose("the connection's thread ended")
            with self._lock:
                self._connection.ioloop.close()
                self._ended = True

    def _on_open(self, _connection: object) -> None:
        give(self._opened, None)

    def _on_closed(self, _connection: object, error: BaseException | str) -> None:
        self._lose(error if isinstance(error, str) else in_words(error))
        self._connection.ioloop.stop()

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        self._blocked_since = time.monotonic()
        self._blocked = str(frame.method.reason)

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        with self._lock:
            self._due = dict.fromkeys(self._due, time.monotonic() + ANSWER_WITHIN_S)
        self._blocked = ""

    def _hang_up(self) -> None:
        if self._connection.is_closed:
            self._connection.ioloop.stop()
        elif not self._connection.is_closing:
            self._connection.close()

    def _cut_off(self) -> None:
        # Not only the loop is stopped: the socket would stay open until it is collected as garbage.
        error = AMQPConnectionError("nobody answered the farewell")
        getattr(self._connection, "_terminate_stream")(error)  # noqa: B009  # there is no public way

    # ------------------------------------------------------------- answers

    def _expected(self) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._lock:
            if self._reason is not None:
                raise TransportDownError(self._reason)
            self._due[answer] = time.monotonic() + ANSWER_WITHIN_S
        answer.add_done_callback(self._expect_no_more)
        return answer

    def _expect_no_more(self, answer: Future[Any]) -> None:
        with self._lock:
            self._due.pop(answer, None)

    def _until(self, answer: Future[Any]) -> float:
        """When the patience with the broker ends; it has ended if the answer is here."""
        if self._blocked:
            return self._blocked_since + ANSWER_WITHIN_S
        with self._lock:
            return self._due.get(answer, 0.0)

    def _lose(self, reason: str) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            waiting, self._due = list(self._due), {}
        for answer in waiting:
            _fail(answer, TransportDownError(reason))
        self._on_lost(reason)


def give(answer: Future[T], value: T) -> None:
    """Answer, unless nobody waits any more: an error in the I/O thread would end the connection."""
    with suppress(InvalidStateError):
        answer.set_result(value)


def _fail(answer: Future[Any], error: BaseException) -> None:
    with suppress(InvalidStateError):  # answered in the same moment
        answer.set_exception(error)
