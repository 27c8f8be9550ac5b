"""One connection that comes back, and a consumer's proof that it lives: below the PostgreSQL queue."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.rows import TupleRow

from pipeline import postgres_queue_sql as sql
from pipeline.closable import Closable
from pipeline.ports import TransportDownError

RENEW_AFTER_S = 2.0
"""A consumer that is about to take messages renews a lease older than this."""

_RENEW_AGAIN_S = 1.0
_CONNECT_TIMEOUT_S = 10

Connection = psycopg.Connection[TupleRow]


class Session(Closable):
    """One connection, opened when it is needed and again after it broke. ``prepare`` runs on each new one."""

    def __init__(self, dsn: str, prepare: Callable[[Connection], None] | None = None) -> None:
        self._dsn = dsn
        self._prepare = prepare
        self._connection: Connection | None = None

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """The connection, in autocommit mode; its failures come out as TransportDownError."""
        try:
            if not self.is_open():
                self.close()
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    application_name="vitrine queue",
                )
                if self._prepare is not None:
                    self._prepare(self._connection)
            yield self._connection
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise TransportDownError(f"PostgreSQL queue: {error}") from error

    def is_open(self) -> bool:
        """Whether the server still holds the other end, as far as the socket knows; reads nothing from it."""
        if self._connection is None or self._connection.closed:
            return False
        socket = select.poll()
        # Without POLLRDHUP (macOS) a broken connection shows at its next use.
        socket.register(self._connection.fileno(), getattr(select, "POLLRDHUP", 0))
        return not socket.poll(0)

    def close(self) -> None:
        """Give the connection back; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Membership(Closable):
    """A consumer's proof of life: an advisory lock and a lease, kept by a thread on its own connection.

    Args:
        dsn: libpq address.
        lease_s: seconds of silence after which it is taken for dead.
        queues: what it takes from, for those who count consumers.
    """

    def __init__(self, dsn: str, lease_s: float, queues: Sequence[str]) -> None:
        self.number: int | None = None
        """Our row in ``queue.consumer``; another one after we were taken for dead."""
        self._lease_s = lease_s
        self._queues = list(queues)
        self._session = Session(dsn, self._lock_again)
        self._mutex = threading.Lock()
        self._renewed = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, name="queue-lease", daemon=True)

    def join(self) -> int:
        """Our number, alive.

        Raises:
            TransportDownError: the server does not answer.
        """
        with self._mutex:
            recent = time.monotonic() - self._renewed <= RENEW_AFTER_S
            if self.number is None or not recent or not self._session.is_open():
                self._renew()
            assert self.number is not None
            number = self.number
        if self._thread.ident is None:
            self._thread.start()
        return number

    def stop_renewing(self) -> None:
        """End the thread; what we hold stays ours until :meth:`close`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        """End the thread and the session: to the server we are dead."""
        self.stop_renewing()
        self._session.close()

    def _keep_renewing(self) -> None:
        every_s = self._lease_s / 3
        pause_s = every_s
        while not self._stopping.wait(pause_s):
            try:
                with self._mutex:
                    self._renew()
                pause_s = every_s
            except (TransportDownError, psycopg.Error):
                # The caller learns it from its own connection, and our messages from the lease.
                pause_s = min(_RENEW_AGAIN_S, every_s)

    def _renew(self) -> None:
        with self._session.use() as connection:
            lease = {"number": self.number, "lease_s": self._lease_s}
            if connection.execute(sql.RENEW_CONSUMER, lease).fetchone() is None:
                self.number = None
                (number,) = connection.execute(sql.NEW_CONSUMER).fetchone() or (None,)
                connection.execute(sql.LOCK_CONSUMER, [number])
                connection.execute(sql.INSERT_CONSUMER, {**lease, "number": number, "queues": self._queues})
                self.number = number
        self._renewed = time.monotonic()

    def _lock_again(self, connection: Connection) -> None:
        if self.number is not None:
            (locked,) = connection.execute(sql.LOCK_CONSUMER, [self.number]).fetchone() or (False,)
            if not locked:
                # Our broken session still lives on the server's side; when it ends, that number is dead.
                self.number = None
