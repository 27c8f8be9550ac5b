"""The loop of a worker: receives micro-batches and has them handled, until it is asked to stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

import structlog

from pipeline.ports import Consumer, Delivery, Transport, TransportDownError
from pipeline.telemetry.health import Health
from pipeline.topology import BULK, SHADOW
from workers.batch import BatchHandler, Ports, supported
from workers.metrics import tell_version
from workers.patience import GaveUpError, Patience, Shutdown
from workers.settings import WorkerSettings

# How long one receive() waits: bounds how late SIGTERM is noticed.
_POLL_S = 0.5
# Of what people wait for, so many share a batch: the first answers need not wait for the last.
_INTERACTIVE_AT_ONCE = 8
# What only compares versions goes in small parts too: whoever comes meanwhile waits for one of them at most.
_SHADOW_AT_ONCE = 8
# However busy we are with other things. A broker hands out in advance, and some take back what was not
# answered for half an hour, which costs an attempt.
_SHADOW_TURN_S = 600.0

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
        tell_version("", spec.identity.version)
        _log.info(
            "worker ready",
            queues=self._settings.queues,
            model_version=spec.identity.version,
            waited_s=round(time.monotonic() - began, 1),
        )

    def _work(self) -> None:
        settings, transport = self._settings, self._ports.transport
        first = [queue for queue in settings.queues if queue != SHADOW] or settings.queues
        with (
            transport.publisher() as publisher,
            # One batch in work and one that is on its way meanwhile.
            transport.consumer(first, prefetch=2 * settings.batch_size) as consumer,
            contextlib.closing(_Shadow(transport, wanted=set(settings.queues) - set(first))) as shadow,
            contextlib.closing(
                BatchHandler(settings, self._ports, self._patience, publisher=publisher)
            ) as handler,
        ):
            self._health.started()
            busy = False
            while not self._shutdown.asked:
                # Who had something to do looks for more without waiting: only if there is nothing else at
                # this moment, those that come last have their turn.
                batches = self._receive(consumer, wait_s=0 if busy else _POLL_S)
                for batch in batches:
                    handler.handle(batch, consumer)
                if shadow.consumer and not self._shutdown.asked:
                    handler.handle(shadow.receive(others_wait=bool(batches)), shadow.consumer)
                busy = bool(batches) or shadow.has_more
            _log.info("stopping", deadline_s=settings.shutdown_deadline_s)
            self._finish(consumer, handler)
            if shadow.consumer:
                self._finish(shadow.consumer, handler)

    def _finish(self, consumer: Consumer, handler: BatchHandler) -> None:
        """Handle what is here already: to give it back would cost each message one of its attempts."""
        try:
            consumer.take_no_more()
            while batches := self._in_batches(
                consumer, consumer.receive(limit=self._settings.batch_size, wait_s=0)
            ):
                for batch in batches:
                    self._patience.beat("finish")
                    handler.handle(batch, consumer)
        except TransportDownError as error:
            # The broker has taken back whatever it had delivered and we had not begun.
            _log.warning("the broker went away while stopping", error=str(error))

    def _leave_if_asked(self, _error: Exception) -> None:
        """Who holds nothing need not wait for what is down before stopping."""
        if self._shutdown.asked:
            raise _NothingHeldError

    def _receive(self, consumer: Consumer, *, wait_s: float) -> list[list[Delivery]]:
        """What comes next, in batches to be handled one after the other."""
        first = self._patience.persist(
            "receive",
            lambda: consumer.receive(limit=self._settings.batch_size, wait_s=wait_s),
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


class _Shadow:
    """The requests that only compare versions: handled when nothing else is there to do.

    They have a consumer of their own. Beside others, one consumer would hand out as many of them as of
    those, and what came meanwhile would wait for them all.
    """

    def __init__(self, transport: Transport, *, wanted: Collection[str]) -> None:
        self.consumer = transport.consumer(tuple(wanted), prefetch=_SHADOW_AT_ONCE) if wanted else None
        """None: this worker leaves them to others."""
        self.has_more = False
        """Whether the last look found some."""
        self._turn = time.monotonic()

    def receive(self, *, others_wait: bool) -> list[Delivery]:
        """A small batch of them, or none while there is other work and it is not their turn."""
        assert self.consumer is not None
        now = time.monotonic()
        batch: list[Delivery] = []
        if not others_wait or now - self._turn >= _SHADOW_TURN_S:
            self._turn = now
            # An outage is told, and waited out, by whoever asks for the other requests.
            with contextlib.suppress(TransportDownError):
                batch = self.consumer.receive(limit=_SHADOW_AT_ONCE, wait_s=0)
        self.has_more = bool(batch)
        return batch

    def close(self) -> None:
        """Give back what is not answered."""
        if self.consumer is not None:
            self.consumer.close()
