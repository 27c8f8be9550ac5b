"""The broker of the tagging queues: whether it answers, what it is, its queues and who reads them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import pika
import psycopg
from django.conf import settings
from pika.exceptions import AMQPError
from psycopg.conninfo import conninfo_to_dict

from dam.monitoring.doctor.findings import (
    Area,
    Check,
    Finding,
    failure,
    ok,
    said_by,
    skipped,
    warning,
)
from dam.monitoring.queues import QueueState, queues_read
from pipeline.ports import TransportDownError
from pipeline.rabbitmq.access import connection_parameters
from pipeline.rabbitmq.errors import told_as_outage
from pipeline.rabbitmq.queues import QueueMismatchError
from pipeline.topology import DEAD_SUFFIX, QUEUES, RESULTS, SHADOW
from pipeline.transports import transport_from_url

LEAST_RABBITMQ = (3, 10)
"""The first whose quorum queues dead-letter at least once."""

_CONNECT_TIMEOUT_S = 5
_DECLARE = "`vitrine topology --declare` makes them; every process does so at its start."


def answers() -> Finding:
    """A connection, and what is at its other end."""
    try:
        if not _is_rabbitmq():
            with psycopg.connect(settings.QUEUE_URL, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
                return ok(f"PostgreSQL, database {connection.info.dbname}")
        return ok(f"{_product(_rabbitmq_says())}, {_place(settings.QUEUE_URL)}")
    except ValueError as error:
        return failure(str(error), mend="Set VITRINE_QUEUE_URL as docs/queue.md says.")
    except (psycopg.OperationalError, TransportDownError) as error:
        return failure(
            f"{_place(settings.QUEUE_URL)}: {said_by(error)}",
            mend="Start the broker, or mend VITRINE_QUEUE_URL and its user and password (docs/queue.md). "
            "Uploads go on meanwhile, and their jobs wait in the table.",
        )


def version() -> Finding:
    """Can do what the queues ask for."""
    if not _is_rabbitmq():
        return skipped("the queues are in PostgreSQL")
    said = _rabbitmq_says()
    shown = str(said.get("version", ""))
    numbers = tuple(int(part) for part in shown.split(".")[:2] if part.isdecimal())
    if said.get("product") != "RabbitMQ" or not numbers:
        return skipped(f"it does not tell ({_product(said)})")
    if numbers < LEAST_RABBITMQ:
        return failure(
            f"RabbitMQ {shown} cannot dead-letter at least once, so messages may get lost",
            mend=f"Upgrade it to {'.'.join(map(str, LEAST_RABBITMQ))} or later.",
        )
    return ok(f"RabbitMQ {shown}")


def topology() -> Finding:
    """The queues are there, with the limits that the code declares."""
    try:
        found = {one.name for one in queues_read()}
    except (TransportDownError, psycopg.Error) as error:
        return failure(f"the queues cannot be read: {said_by(error)}", mend=_DECLARE)
    wanted = {name for queue in QUEUES for name in (queue.name, queue.dead_letters)}
    if missing := sorted(wanted - found):
        return failure(f"{', '.join(missing)} not there", mend=_DECLARE)
    if _is_rabbitmq():
        return _same_on_rabbitmq()
    return _same_on_postgres()


def _same_on_rabbitmq() -> Finding:
    try:
        with transport_from_url(settings.QUEUE_URL) as transport:
            # All are there, so this changes nothing: it compares.
            transport.declare()
    except QueueMismatchError as error:
        told, _, mend = str(error).partition(". ")
        return failure(told, mend=mend)
    return ok(f"{len(QUEUES)} queues and as many for dead letters, as declared")


def _same_on_postgres() -> Finding:
    with psycopg.connect(settings.QUEUE_URL, connect_timeout=_CONNECT_TIMEOUT_S) as connection:
        rows = connection.execute("SELECT name, delivery_limit, max_length FROM queue.queue").fetchall()
    limits = {name: (deliveries, length) for name, deliveries, length in rows}
    others = [one.name for one in QUEUES if limits[one.name] != (one.delivery_limit, one.max_length)]
    if others:
        return warning(
            f"{', '.join(others)} with other limits than this version declares",
            mend="`vitrine topology --declare` brings them up to date.",
        )
    return ok(f"{len(QUEUES)} queues and as many for dead letters, as declared")


def consumers() -> list[Finding]:
    """Somebody reads every queue."""
    try:
        found = queues_read()
    except (TransportDownError, psycopg.Error) as error:
        return [skipped(f"the queues cannot be read: {said_by(error)}")]
    alone = [one for one in found if not one.consumers]
    if not alone:
        return [ok("every queue has somebody who reads it")]
    return [_unread(one) for one in alone]


def _unread(state: QueueState) -> Finding:
    waiting = f"nobody reads it, {state.ready:,} wait" if state.ready else "nobody reads it"
    if state.name.endswith(DEAD_SUFFIX) or state.name == RESULTS:
        return failure(
            waiting, mend="Start the results writer, `vitrine write_results`, or read why it ends in its log."
        ).of(state.name)
    # A worker may be told to leave comparisons alone.
    tell = warning if state.name == SHADOW and not state.ready else failure
    return tell(
        waiting,
        mend="Start a worker, `python -m workers` (VITRINE_QUEUES names what it reads), or read why it "
        "ends in its log.",
    ).of(state.name)


def _is_rabbitmq() -> bool:
    return settings.QUEUE_URL.partition("://")[0] in {"amqp", "amqps"}


def _rabbitmq_says() -> dict[str, Any]:
    """What the server says of itself in its greeting.

    Raises:
        TransportDownError: it does not answer, or refuses us.
    """
    parameters = connection_parameters(settings.QUEUE_URL)
    parameters.socket_timeout = _CONNECT_TIMEOUT_S
    said: dict[str, Any] = {}
    refused: list[BaseException] = []

    def opened(connection: Any) -> None:
        said.update(connection.server_properties)
        connection.close()

    def failed(connection: Any, error: BaseException | str) -> None:
        refused.append(error if isinstance(error, BaseException) else AMQPError(error))
        connection.ioloop.stop()

    def closed(connection: Any, _reason: BaseException) -> None:
        connection.ioloop.stop()

    with told_as_outage():
        # The blocking connection keeps the greeting to itself.
        connection = pika.SelectConnection(parameters, opened, failed, closed)
        try:
            connection.ioloop.start()
        finally:
            connection.ioloop.close()
        if refused:
            raise refused[0]
    return said


def _product(said: dict[str, Any]) -> str:
    return f"{said.get('product', 'a broker')} {said.get('version', '')}".strip()


def _place(url: str) -> str:
    """Where the broker is, without user and password."""
    if _is_rabbitmq():
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}, virtual host {unquote(parts.path[1:]) or '/'}"
    known = {name: value for name, value in conninfo_to_dict(url).items() if value}
    return f"PostgreSQL on {known.get('host', 'localhost')}, database {known.get('dbname', 'of the user')}"


BROKER = Area(
    "Queues",
    (
        Check("version of the broker", version),
        Check("queues as declared", topology),
        Check("readers", consumers),
    ),
    gate=Check("broker", answers),
)
