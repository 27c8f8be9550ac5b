"""The transport on PostgreSQL: durable, at least once, with leases, a delivery limit and dead letters.

``docs/queue.md`` describes the promises, ``postgres_queue_sql`` the tables.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from psycopg.errors import UndefinedColumn, UndefinedTable

from pipeline import postgres_queue_sql as sql
from pipeline.closable import Closable
from pipeline.ports import Delivery, Message, QueueDepth, QueueFullError, TransportDownError
from pipeline.postgres_lease import Connection, Membership, Session
from pipeline.topology import DEAD_SUFFIX, QUEUES, QueueSpec

SWEEP_EVERY_S = 2.0
"""A waiting consumer looks this often for messages of dead ones, and for what no notification told it."""

LEASE_S = 30.0
"""So long a consumer may be cut off from the server before its messages go to others."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class PostgresTransport(Closable):
    """The queues in the schema ``queue`` of one database.

    Connect to the server itself: advisory locks and notifications do not survive a pooler in transaction
    mode.

    Args:
        dsn: libpq address.
        queues: what to declare; a dead-letter queue comes with each.
        lease_s: seconds after which a consumer that does not renew its lease is taken for dead.
    """

    def __init__(self, dsn: str, queues: Sequence[QueueSpec] = QUEUES, *, lease_s: float = LEASE_S) -> None:
        self._dsn = dsn
        self._lease_s = lease_s
        self._queues = tuple(queues)

    def declare(self) -> None:
        """Create schema, tables and queues, and bring delivery limits up to date.

        Raises:
            TransportDownError: the server does not answer.
        """
        with Session(self._dsn) as session, session.use() as connection, connection.transaction():
            connection.execute(sql.DECLARE)
            for queue in self._queues:
                connection.execute(sql.DECLARE_QUEUE, [queue.name, queue.delivery_limit, queue.max_length])
                connection.execute(sql.DECLARE_QUEUE, [queue.dead_letters, None, None])

    def publisher(self) -> PostgresPublisher:
        """A publisher on a connection of its own."""
        return PostgresPublisher(self._dsn, {queue.name for queue in self._queues})

    def consumer(self, queues: Sequence[str], *, prefetch: int = 64) -> PostgresConsumer:  # noqa: ARG002
        """A consumer of ``queues`` in that order of priority; it takes nothing in advance.

        Raises:
            KeyError: a queue that the topology does not declare.
        """
        known = {name for queue in self._queues for name in (queue.name, queue.dead_letters)}
        for queue in queues:
            if queue not in known:
                raise KeyError(queue)
        return PostgresConsumer(self._dsn, queues, lease_s=self._lease_s)

    def depths(self) -> dict[str, QueueDepth]:
        """Every declared queue and dead-letter queue by name.

        Raises:
            TransportDownError: the server does not answer, or the queues are not declared.
        """
        with Session(self._dsn) as session, session.use() as connection:
            try:
                # Otherwise, with no consumer left, the messages of the last one would count as held for ever.
                _sweep(connection)
                return {name: QueueDepth(*numbers) for name, *numbers in connection.execute(sql.DEPTHS)}
            except (UndefinedTable, UndefinedColumn) as error:
                raise TransportDownError(
                    f"PostgreSQL queue: not declared, or by an older release: {error}"
                ) from error


class PostgresPublisher(Closable):
    """Publishes a sequence of messages in one transaction: all are stored, or none."""

    def __init__(self, dsn: str, queues: set[str]) -> None:
        self._session = Session(dsn)
        self._queues = queues

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is stored durably.

        Raises:
            QueueFullError: all but those that it names are stored.
            TransportDownError: the answer got lost or the server is away; all are stored or none.
            KeyError: a queue that the topology does not declare.
        """
        for message in messages:
            if message.queue not in self._queues:
                raise KeyError(message.queue)
        if not messages:
            return
        columns = (
            [message.queue for message in messages],
            [message.body for message in messages],
            [message.message_id for message in messages],
        )
        with self._session.use() as connection:
            answer = connection.execute(sql.PUBLISH, columns).fetchone()
        refused = frozenset(answer[1]) if answer else frozenset()
        if refused:
            raise QueueFullError(refused, frozenset(messages[place].queue for place in refused))

    def close(self) -> None:
        """Give the connection back."""
        self._session.close()


@dataclass(frozen=True, slots=True)
class _Lease:
    """The token of a delivery."""

    message: int
    consumer: int


class PostgresConsumer(Closable):
    """Receives in micro-batches; for one thread, like every consumer."""

    def __init__(self, dsn: str, queues: Sequence[str], *, lease_s: float = LEASE_S) -> None:
        self._queues = tuple(queues)
        self._membership = Membership(dsn, lease_s, queues)
        self._session = Session(dsn, self._resume)
        self._held: set[int] = set()
        self._ending = False
        self._swept = float("-inf")

    def receive(self, *, limit: int, wait_s: float, linger_s: float = 0.0) -> list[Delivery]:
        """Up to ``limit`` deliveries of one queue; see :class:`pipeline.ports.Consumer`.

        Raises:
            TransportDownError: the server did not come back within ``wait_s`` seconds.
        """
        if self._ending:
            return []
        deadline = time.monotonic() + wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                batch = self._take_any(limit)
                if batch or time.monotonic() >= deadline:
                    break
                self._wait(deadline)
                pause_s = _FIRST_PAUSE_S
            except TransportDownError:
                if time.monotonic() + pause_s >= deadline:
                    raise
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        if batch and batch[0].delivery_count == 1:
            self._fill(batch, limit=limit, until=time.monotonic() + linger_s)
        return batch

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Delete messages that we hold; nothing happens to others.

        Raises:
            TransportDownError: nothing is known; acknowledging again is harmless.
        """
        me = self._membership.number
        mine = [lease.message for lease in map(_lease, deliveries) if lease.consumer == me]
        if not mine:
            return
        with self._session.use() as connection:
            connection.execute(sql.ACK, (mine, me))
        self._held.difference_update(mine)

    def reject(self, delivery: Delivery, *, reason: str) -> None:
        """Move a message that we hold to the dead-letter queue; nothing happens to others'.

        Raises:
            TransportDownError: nothing is known; rejecting again is harmless.
            ValueError: it is a dead letter already.
        """
        if delivery.queue.endswith(DEAD_SUFFIX):
            raise ValueError(f"A message of {delivery.queue} is a dead letter already: acknowledge it.")
        lease = _lease(delivery)
        if lease.consumer != self._membership.number:
            return
        with self._session.use() as connection:
            connection.execute(sql.REJECT, (reason, lease.message, lease.consumer))
        self._held.discard(lease.message)

    def take_no_more(self) -> None:
        """See :class:`pipeline.ports.Consumer`."""
        self._ending = True

    def close(self) -> None:
        """Return what is un-acked to its queue at once, which costs it an attempt."""
        self._membership.stop_renewing()
        me = self._membership.number
        # If the server is away it finds out by itself, from the end of the session.
        with suppress(TransportDownError):
            if me is not None:
                with self._session.use() as connection, connection.transaction():
                    connection.execute(sql.RELEASE_UNKNOWN, (me, []))
                    connection.execute(sql.DELETE_CONSUMER, [me])
        self._session.close()
        self._membership.close()

    def _resume(self, connection: Connection) -> None:
        """On a new connection: listen, and return what the broken one may have taken without our knowing."""
        connection.execute(sql.RELAX)
        connection.execute(f"LISTEN {sql.CHANNEL}")
        if self._membership.number is not None:
            connection.execute(sql.RELEASE_UNKNOWN, (self._membership.number, list(self._held)))

    def _take_any(self, limit: int) -> list[Delivery]:
        if time.monotonic() - self._swept > SWEEP_EVERY_S:
            # Ourselves first: after the machine slept, everybody's lease has run out.
            self._membership.join()
            with self._session.use() as connection:
                _sweep(connection)
            self._swept = time.monotonic()
        for queue in self._queues:
            if batch := self._take(sql.TAKE, queue, limit):
                return batch
        return []

    def _take(self, statement: str, queue: str, limit: int) -> list[Delivery]:
        before = self._membership.number
        me = self._membership.join()
        if me != before:
            self._held.clear()
        with self._session.use() as connection:
            # Whatever was announced until now is found by the statement.
            for _ in connection.notifies(timeout=0):
                pass
            rows = connection.execute(statement, (queue, limit, me)).fetchall()
        self._held.update(row[0] for row in rows)
        return [
            Delivery(queue, bytes(body), message_id, count, _Lease(number, me), reason)
            for number, body, message_id, count, reason in rows
        ]

    def _fill(self, batch: list[Delivery], *, limit: int, until: float) -> None:
        """Add fresh messages of the same queue until the batch is full or the time is over."""
        # What we have is worth more than the news that the server went away: the next call tells it.
        with suppress(TransportDownError):
            while len(batch) < limit and time.monotonic() < until:
                self._wait(until)
                batch += self._take(sql.TAKE_FRESH, batch[0].queue, limit - len(batch))

    def _wait(self, until: float) -> None:
        """Until a message is announced, or it is time to look anyway."""
        with self._session.use() as connection:
            announcements = connection.notifies(timeout=min(until - time.monotonic(), SWEEP_EVERY_S))
            for announcement in announcements:
                if announcement.payload in self._queues:
                    announcements.close()
                    return


def _sweep(connection: Connection) -> None:
    """Return the messages of dead consumers to their queues, unless somebody is doing it just now."""
    with connection.transaction():
        (alone,) = connection.execute(sql.TRY_SWEEP_LOCK).fetchone() or (False,)
        if alone:
            connection.execute(sql.DELETE_DEAD_CONSUMERS)
            connection.execute(sql.RELEASE_ORPHANS)


def _lease(delivery: Delivery) -> _Lease:
    assert isinstance(delivery.token, _Lease)
    return delivery.token
