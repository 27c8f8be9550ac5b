"""The loop of a worker: receives micro-batches and has them handled, until it is asked to stop."""

from __future__ import annotations

import contextlib
import time

import structlog

from pipeline.ports import Consumer, Delivery, TransportDownError
from pipeline.topology import BULK
from workers.batch import BatchHandler, Ports, supported
from workers.health import Health
from workers.patience import GaveUpError, Patience, Shutdown
from workers.settings import WorkerSettings

# How long one receive() waits: bounds how late SIGTERM is noticed.
_POLL_S = 0.5
# Of what people wait for, so many share a batch: the first answers need not wait for the last.
_INTERACTIVE_AT_ONCE = 8

_log = structlog.get_logger()


class _NothingHeldError(Exception):
    """Asked to stop, and no message is here."""


class Tagger:
    """One process's work, by its three ports."""

    def __init__(self, settings: WorkerSettings, ports: Ports, shutdown: Shutdown, health: Health) -> None:
        self._settings = settings
        self._ports = ports
        self._shutdown = shutdown
        self._health = health
        self._patience = Patience(shutdown, health)

    def run(self) -> bool:
        """Work until asked to stop; then finish what was delivered. Whether that was possible in time.

        Raises:
            PictureStalledError: end the process, by force.
        """
        try:
            self._start()
            self._work()
        except _NothingHeldError:
            pass
        except GaveUpError as gave_up:
            _log.error("stopped with unfinished work", stage=str(gave_up))
            return False
        _log.info("worker stopped")
        return True

    def _start(self) -> None:
        self._patience.persist("declare", self._ports.transport.declare, on_failure=self._leave_if_asked)
        # A worker without a model would only keep messages from those that have one.
        began = time.monotonic()
        _log.info(
            "waiting for the model", model=self._settings.model_name, servers=self._settings.model_servers
        )
        spec = self._patience.persist(
            "waiting for the model",
            lambda: supported(self._ports.predictor.spec()),
            on_failure=self._leave_if_asked,
        )
        _log.info(
            "worker ready",
            queues=self._settings.queues,
            model_version=spec.identity.version,
            waited_s=round(time.monotonic() - began, 1),
        )

    def _work(self) -> None:
        settings, transport = self._settings, self._ports.transport
        with (
            transport.publisher() as publisher,
            # One batch in work and one that is on its way meanwhile.
            transport.consumer(settings.queues, prefetch=2 * settings.batch_size) as consumer,
            contextlib.closing(
                BatchHandler(settings, self._ports, self._patience, publisher=publisher, consumer=consumer)
            ) as handler,
        ):
            self._health.started()
            while not self._shutdown.asked:
                for batch in self._receive(consumer):
                    handler.handle(batch)
            self._finish(consumer, handler)

    def _finish(self, consumer: Consumer, handler: BatchHandler) -> None:
        """Handle what is here already: to give it back would cost each message one of its attempts."""
        _log.info("stopping", deadline_s=self._settings.shutdown_deadline_s)
        try:
            consumer.take_no_more()
            while batches := self._in_batches(
                consumer, consumer.receive(limit=self._settings.batch_size, wait_s=0)
            ):
                for batch in batches:
                    self._patience.beat("finish")
                    handler.handle(batch)
        except TransportDownError as error:
            # The broker has taken back whatever it had delivered and we had not begun.
            _log.warning("the broker went away while stopping", error=str(error))

    def _leave_if_asked(self, _error: Exception) -> None:
        """Who holds nothing need not wait for what is down before stopping."""
        if self._shutdown.asked:
            raise _NothingHeldError

    def _receive(self, consumer: Consumer) -> list[list[Delivery]]:
        """What comes next, in batches to be handled one after the other."""
        first = self._patience.persist(
            "receive",
            lambda: consumer.receive(limit=self._settings.batch_size, wait_s=_POLL_S),
            on_failure=self._leave_if_asked,
        )
        return self._in_batches(consumer, first)

    def _in_batches(self, consumer: Consumer, first: list[Delivery]) -> list[list[Delivery]]:
        """The same deliveries, and for bulk more of them.

        Nothing is waited for where a person waits: while a batch is handled the next one gathers by
        itself, so batches grow with the load and not with a delay.
        """
        if not first:
            return []
        if first[0].queue != BULK:
            size = _INTERACTIVE_AT_ONCE
            return [first[i : i + size] for i in range(0, len(first), size)]
        return self._filled_up(consumer, first)

    def _filled_up(self, consumer: Consumer, bulk: list[Delivery]) -> list[list[Delivery]]:
        """Nobody waits for bulk, and a fuller batch is cheaper: linger a moment for more of it."""
        until = time.monotonic() + self._settings.linger_ms / 1000
        while bulk[0].delivery_count == 1 and len(bulk) < self._settings.batch_size:
            left_s = until - time.monotonic()
            if left_s <= 0 or self._shutdown.asked:
                break
            try:
                more = consumer.receive(limit=self._settings.batch_size - len(bulk), wait_s=left_s)
            except TransportDownError:
                break  # publishing will meet the same outage, and waits there
            if not more:
                break
            if more[0].queue != BULK:
                return [more, bulk]  # somebody waits: they go first
            if more[0].delivery_count > 1:
                return [bulk, more]  # it may have killed a process before: it goes alone, and last
            bulk.extend(more)
        return [bulk]
