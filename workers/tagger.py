"""The loop of a worker: receives micro-batches and has them handled, until it is asked to stop."""

from __future__ import annotations

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


class Tagger:
    """One process's work, by its three ports."""

    def __init__(self, settings: WorkerSettings, ports: Ports, shutdown: Shutdown, health: Health) -> None:
        self._settings = settings
        self._ports = ports
        self._shutdown = shutdown
        self._health = health
        self._patience = Patience(shutdown, health)

    def run(self) -> None:
        """Work until asked to stop; then finish what was delivered.

        Raises:
            PictureStalledError: end the process, by force.
        """
        try:
            self._patience.persist("declare", self._ports.transport.declare)
            # A worker without a model would only keep messages from those that have one.
            spec = self._patience.persist("model", lambda: supported(self._ports.predictor.spec()))
            _log.info("worker ready", queues=self._settings.queues, model_version=spec.identity.version)
            self._work()
        except GaveUpError as gave_up:
            _log.warning("stopped with unfinished work", stage=str(gave_up))
        else:
            _log.info("worker stopped")

    def _work(self) -> None:
        queues = self._settings.queues
        transport = self._ports.transport
        with transport.publisher() as publisher, transport.consumer(queues) as consumer:
            handler = BatchHandler(
                self._settings, self._ports, self._patience, publisher=publisher, consumer=consumer
            )
            self._health.started()
            while not self._shutdown.asked:
                for batch in self._receive(consumer):
                    handler.handle(batch)
            handler.close()

    def _receive(self, consumer: Consumer) -> list[list[Delivery]]:
        """What comes next, in batches to be handled one after the other.

        It never waits for more of what a person waits for: while a batch is handled the next one
        gathers by itself, so batches grow with the load and not with a delay.
        """
        first = self._patience.persist(
            "receive", lambda: consumer.receive(limit=self._settings.batch_size, wait_s=_POLL_S)
        )
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
