"""What happens to one micro-batch, from its deliveries to their acknowledgement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import structlog
from pydantic import ValidationError

from pipeline.messages import Purpose, TagRequest
from pipeline.ports import (
    BlobStore,
    Consumer,
    Delivery,
    DependencyDownError,
    IncompatibleModelError,
    Message,
    ModelMissingError,
    ModelSpec,
    Predictions,
    Predictor,
    PredictorDownError,
    PreprocessSpec,
    Publisher,
    QueueFullError,
    Transport,
)
from pipeline.preprocess import UnsupportedSpecError, check_supported
from pipeline.telemetry.logs import request_ids
from pipeline.telemetry.metrics import QUEUE_WAIT_SECONDS
from pipeline.telemetry.tracing import is_tracing
from pipeline.topology import RESULTS
from workers.memory import WorkingMemory
from workers.metrics import BUSY_SECONDS, MESSAGES_REJECTED, tell_version
from workers.patience import Patience
from workers.picture_work import PictureWork, ScoreFilter
from workers.settings import WorkerSettings
from workers.stage_times import Clock, ProcessCpu

# So many versions may follow one another while one batch is answered, before something must be wrong.
_MOST_VERSIONS = 3
_BEAT_EVERY_S = 1.0
_SHADOW_LABEL_PATIENCE_S = 5.0

_log = structlog.get_logger()


class PictureStalledError(Exception):
    """Decoding hangs. No thread can be stopped from outside, so the process has to end."""


class _UnknownLabelError(Exception):
    """Nobody serves this label, and we have waited for it long enough."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a worker depends on."""

    transport: Transport
    blobs: BlobStore
    predictor: Predictor


class BatchHandler:
    """Handles batches one after the other; every step is repeated until what it depends on answers."""

    def __init__(
        self,
        settings: WorkerSettings,
        ports: Ports,
        patience: Patience,
        *,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._blobs = ports.blobs
        self._predictor = ports.predictor
        self._publisher = publisher
        self._patience = patience
        self._specs: dict[str, ModelSpec] = {}
        self._scores = ScoreFilter(settings.score_floor, settings.max_scores)
        self._process_cpu = ProcessCpu()
        self._memory = WorkingMemory(settings.decode_memory_mb * 2**20)
        self._pool = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")

    def close(self) -> None:
        """Begin nothing more; what a decode thread has begun it ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def handle(self, deliveries: Sequence[Delivery], consumer: Consumer) -> None:
        """Answer every request, then acknowledge it; a message that is no request is dead-lettered.

        Args:
            deliveries: of one queue.
            consumer: that received them.

        Raises:
            GaveUpError: asked to stop, and something is down; what is un-acked will come again.
            PictureStalledError: see there.
        """
        began, paused_s = time.monotonic(), self._patience.paused_s
        by_label: dict[str, list[PictureWork]] = {}
        try:
            for delivery in deliveries:
                if (work := self._taken_up(delivery, consumer)) is not None:
                    by_label.setdefault(work.request.model_label, []).append(work)
            for label, works in by_label.items():
                ids = request_ids(work.request.request_id for work in works)
                with structlog.contextvars.bound_contextvars(request_ids=ids):
                    self._tag(label, works, consumer)
        finally:
            for works in by_label.values():
                for work in works:
                    work.end_trace()
            BUSY_SECONDS.inc(time.monotonic() - began - (self._patience.paused_s - paused_s))

    def _taken_up(self, delivery: Delivery, consumer: Consumer) -> PictureWork | None:
        try:
            request = TagRequest.model_validate_json(delivery.body)
        except ValidationError as error:
            self._reject(consumer, delivery, f"not a request: {_first_complaint(error)}")
            return None
        work = PictureWork(delivery, request)
        QUEUE_WAIT_SECONDS.labels(delivery.queue).observe(work.stage_ms["queued"] / 1000)
        return work

    def _tag(self, label: str, works: Sequence[PictureWork], consumer: Consumer) -> None:
        clock = Clock(self._process_cpu)
        try:
            with clock.stage("answer"):
                self._patience.persist(
                    "answer",
                    lambda: self._answer(label, works, clock),
                    on_failure=self._label_patience(label, works),
                )
        except _UnknownLabelError as unknown:
            for work in works:
                self._reject(consumer, work.delivery, str(unknown), request_id=work.request.request_id)
            return
        results = [work.result for work in works if work.result is not None]
        messages = [
            Message(
                RESULTS, result.model_dump_json().encode(), message_id=f"{result.job_id}-{result.generation}"
            )
            for result in results
        ]
        began_ns = time.time_ns()
        with clock.stage("publish"):
            self._patience.persist("publish", lambda: self._publish(messages))
        _trace(works, "publish", began_ns)
        with clock.stage("ack"):
            self._patience.persist("ack", lambda: consumer.ack([work.delivery for work in works]))
        clock.tell(label, works)

    def _publish(self, messages: list[Message]) -> None:
        """Publish, and leave in ``messages`` what a full queue refused: called again, it does what is left.

        Raises:
            TransportDownError: with QueueFullError among it.
        """
        try:
            self._publisher.publish(messages)
        except QueueFullError as full:
            messages[:] = [message for index, message in enumerate(messages) if index in full.refused]
            raise

    def _answer(self, label: str, works: Sequence[PictureWork], clock: Clock) -> None:
        """Bring every work to its result; called again after an outage, it does only what is left.

        Raises:
            DependencyDownError: the blob store or the model server.
        """
        # Asking every time would cost a call per batch; whoever answers tells if it has changed.
        spec = self._specs.pop(label, None) or supported(self._predictor.spec(label))
        for _ in range(_MOST_VERSIONS):
            with clock.stage("prepare"):
                self._prepare(works, spec.preprocess)
            open_works = [work for work in works if work.result is None]
            if not open_works:
                self._specs[label] = spec
                return
            images = np.stack([work.pixels for work in open_works if work.pixels is not None])
            began_ns, began = time.time_ns(), time.perf_counter()
            try:
                with clock.stage("predict"):
                    predictions = self._predictor.predict(images, label=label)
            except ValueError as error:
                newer = supported(self._predictor.spec(label))
                if newer.preprocess == spec.preprocess:
                    raise IncompatibleModelError(f"the model refuses what it asked for: {error}") from error
                spec = newer  # rolled out between the two calls: prepare again
                continue
            if predictions.spec.preprocess == spec.preprocess:
                _check_answer(predictions, len(open_works))
                spent_ms = (time.perf_counter() - began) * 1000
                for index, work in enumerate(open_works):
                    work.answer(predictions, index, predict_ms=spent_ms, scores=self._scores)
                _trace(open_works, "predict", began_ns)
                self._specs[label] = predictions.spec
                tell_version(label, predictions.spec.identity.version)
                return
            spec = supported(predictions.spec)  # another version answered: prepare again
        raise IncompatibleModelError("every answer came from a version with another preprocess")

    def _prepare(self, works: Sequence[PictureWork], spec: PreprocessSpec) -> None:
        limits = self._settings.limits
        outages: list[DependencyDownError] = []
        for future in self._as_completed(
            self._pool.submit(work.advance, self._blobs, spec, limits, self._memory) for work in works
        ):
            try:
                future.result()
            except DependencyDownError as error:
                outages.append(error)
        if outages:
            raise outages[0]

    def _as_completed(self, futures: Iterable[Future[None]]) -> Iterator[Future[None]]:
        pending, progress = set(futures), time.monotonic()
        while pending:
            done, pending = wait(pending, timeout=_BEAT_EVERY_S, return_when=FIRST_COMPLETED)
            now = time.monotonic()
            if done:
                progress = now
            elif now - progress > self._settings.picture_deadline_s:
                raise PictureStalledError(f"no picture was finished for {now - progress:.0f} s")
            self._patience.beat("prepare")
            yield from done

    def _label_patience(self, label: str, works: Sequence[PictureWork]) -> Callable[[Exception], None]:
        """A campaign for a version that was withdrawn must not keep this worker for ever.

        And what nobody will see must not keep it from what somebody waits for, however short.
        """
        patience_s = self._settings.unknown_label_patience_s
        if all(work.request.purpose is Purpose.SHADOW for work in works):
            patience_s = min(patience_s, _SHADOW_LABEL_PATIENCE_S)
        served_since: float | None = None

        def check(error: Exception) -> None:
            nonlocal served_since
            now = time.monotonic()
            if not isinstance(error, ModelMissingError) or not self._any_version_serves():
                served_since = None  # an outage, however long, says nothing of the label
                return
            # From the first answer of a server that serves: it may have begun to after it was asked.
            served_since = now if served_since is None else served_since
            if label and now - served_since >= patience_s:
                raise _UnknownLabelError(f"the model server knows no version labelled {label!r}")

        return check

    def _any_version_serves(self) -> bool:
        """A model server that has loaded nothing yet knows no label either."""
        try:
            self._predictor.spec()
        except PredictorDownError:
            return False
        return True

    def _reject(self, consumer: Consumer, delivery: Delivery, reason: str, **known: str) -> None:
        queue, message_id = delivery.queue, delivery.message_id
        _log.error("dead-lettered", queue=queue, message_id=message_id, reason=reason, **known)
        self._patience.persist("reject", lambda: consumer.reject(delivery, reason=reason))
        MESSAGES_REJECTED.labels(queue).inc()


def supported(spec: ModelSpec) -> ModelSpec:
    """The same spec, if this worker can feed that model.

    Raises:
        IncompatibleModelError: it cannot.
    """
    try:
        check_supported(spec.preprocess)
    except UnsupportedSpecError as error:
        version = spec.identity.version
        raise IncompatibleModelError(f"version {version} cannot be fed by this worker: {error}") from error
    return spec


def _trace(works: Sequence[PictureWork], stage: str, began_ns: int) -> None:
    """A stage of the whole batch is over: it was one of every picture's."""
    if is_tracing():
        ended_ns = time.time_ns()
        for work in works:
            work.trace(stage, began_ns=began_ns, ended_ns=ended_ns)


def _check_answer(predictions: Predictions, count: int) -> None:
    scores, embeddings = predictions.scores, predictions.embeddings
    shaped = scores.shape == (count, len(predictions.spec.labels)) and embeddings.shape[:1] == (count,)
    if not shaped or not np.isfinite(scores).all() or not np.isfinite(embeddings).all():
        version = predictions.spec.identity.version
        raise IncompatibleModelError(
            f"version {version} gave an answer of another shape, or without a number"
        )


def _first_complaint(error: ValidationError) -> str:
    """Where and what, without the contents."""
    complaint = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in complaint["loc"])
    return f"{place}: {complaint['msg']}" if place else complaint["msg"]
