"""One picture on its way through the worker. An outage stops it, and it goes on from where it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pipeline.messages import (
    FailureReason,
    LabelScore,
    Outcome,
    PictureFacts,
    Rendition,
    TagRequest,
    TagResult,
    encode_embedding,
)
from pipeline.ports import BlobMissingError, BlobStore, Delivery, Predictions, PreprocessSpec
from pipeline.preprocess import BadPictureError, Limits, Renditions, looks_of, prepare, renditions
from pipeline.telemetry.tracing import begin_span, span_of_the_past
from workers.memory import WorkingMemory
from workers.renditions import store_renditions


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores are worth sending."""

    floor: float
    most: int

    def chosen(self, labels: tuple[str, ...], scores: NDArray[np.float32]) -> tuple[LabelScore, ...]:
        """The highest of float32 ``[L]`` that reach the floor, in falling order."""
        order = np.argsort(-scores, kind="stable")[: self.most]
        return tuple(
            # Sums of rounded probabilities pass 1 by a hair.
            LabelScore(label=labels[i], score=min(1.0, float(scores[i])))
            for i in order
            if scores[i] >= self.floor
        )


class PictureWork:
    """What became of one delivery so far. Used by one thread at a time."""

    def __init__(self, delivery: Delivery, request: TagRequest) -> None:
        self.delivery = delivery
        self.request = request
        self.pixels: NDArray[np.uint8] | None = None
        """For the network, prepared as :attr:`prepared_for` says."""
        self.prepared_for: PreprocessSpec | None = None
        self.stage_ms: dict[str, float] = {}
        """Wall time; waiting for memory and for the other threads is in it."""
        self.cpu_ms: dict[str, float] = {}
        """CPU time of the thread that did it."""
        self.result: TagResult | None = None
        self._facts: PictureFacts | None = None
        self._made: Renditions | None = None
        self._stored: tuple[Rendition, ...] = ()
        self._wanted = request.renditions
        waited = datetime.now(UTC) - _aware(request.requested_at)
        self.stage_ms["queued"] = round(max(0.0, waited.total_seconds() * 1000), 1)
        self._span = begin_span(
            "tag",
            parent=request.traceparent,
            kind="consumer",
            messaging__destination__name=delivery.queue,
            vitrine__job_id=request.job_id,
            vitrine__request_id=request.request_id,
        )

    def advance(self, blobs: BlobStore, spec: PreprocessSpec, limits: Limits, memory: WorkingMemory) -> None:
        """Fetch, decode and store renditions, as far as that is not done: then pixels or a failure stand.

        Raises:
            DependencyDownError: call it again; what was achieved is kept.
        """
        if self.result is not None:
            return
        try:
            if self.prepared_for != spec:
                self._prepare(blobs, spec, limits, memory)
            if self._made is not None:
                with self._timed("store"):
                    self._stored = store_renditions(blobs, self.request.blob_key, self._made)
                self._made = None
        except BadPictureError as bad:
            self._fail(bad.reason, bad.detail)
        except BlobMissingError:
            self._fail(FailureReason.MISSING_BLOB, "The picture's bytes are not in the store.")

    def answer(self, predictions: Predictions, index: int, *, predict_ms: float, scores: ScoreFilter) -> None:
        """Close the request with the answer of the model; ``predict_ms``: of the whole batch."""
        self.stage_ms["predict"] = round(predict_ms, 1)
        self.result = TagResult(
            job_id=self.request.job_id,
            generation=self.request.generation,
            purpose=self.request.purpose,
            sha256=self.request.sha256,
            outcome=Outcome.TAGGED,
            model=predictions.spec.identity,
            scores=scores.chosen(predictions.spec.labels, predictions.scores[index]),
            embedding_f32=encode_embedding(predictions.embeddings[index]),
            picture=self._facts,
            renditions=self._stored,
            stage_ms=self.stage_ms,
            predict_share_ms=round(predict_ms / len(predictions.scores), 3),
            request_id=self.request.request_id,
            traceparent=self._span.traceparent,
        )
        self.pixels = None

    def trace(self, stage: str, *, began_ns: int, ended_ns: int) -> None:
        """Tell of a stage of this picture, or of its whole batch, that is over; nanoseconds since 1970."""
        span_of_the_past(stage, parent=self._span.traceparent, began_ns=began_ns, ended_ns=ended_ns)

    def end_trace(self) -> None:
        """Nothing more is done with it here."""
        if self.result is None:
            self._span.failed("not answered")
        else:
            reason = str(self.result.reason or "")
            self._span.set(vitrine__outcome=str(self.result.outcome), vitrine__reason=reason)
        self._span.end()

    def _prepare(self, blobs: BlobStore, spec: PreprocessSpec, limits: Limits, memory: WorkingMemory) -> None:
        with memory.file(lambda: self._fetch(blobs)) as data, self._timed("decode"):
            picture = prepare(data, spec, limits=limits, memory=memory.decoding)
            looks = looks_of(picture)
        del data  # encoding needs it no more
        self.pixels, self.prepared_for = picture.pixels, spec
        if self._facts is None:
            self._facts = PictureFacts(
                width=picture.width,
                height=picture.height,
                fingerprint=looks.fingerprint,
                colours=looks.colours,
            )
        if not self._wanted:
            return
        # Encoded at once: a batch of previews as pixels would hold 180 MB.
        with self._timed("encode"):
            self._made = renditions(picture)
        self._wanted = False
        self._facts = self._facts.model_copy(update={"placeholder": self._made.placeholder})

    def _fetch(self, blobs: BlobStore) -> bytes:
        with self._timed("fetch"):
            return blobs.read(self.request.blob_key)

    def _fail(self, reason: FailureReason, detail: str) -> None:
        self.pixels = self._made = None
        self.result = TagResult(
            job_id=self.request.job_id,
            generation=self.request.generation,
            purpose=self.request.purpose,
            sha256=self.request.sha256,
            outcome=Outcome.FAILED,
            reason=reason,
            detail=detail,
            stage_ms=self.stage_ms,
            request_id=self.request.request_id,
            traceparent=self._span.traceparent,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began_ns, began, cpu_began = time.time_ns(), time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            spent = (time.perf_counter() - began) * 1000
            self.stage_ms[stage] = round(self.stage_ms.get(stage, 0.0) + spent, 1)
            self.cpu_ms[stage] = self.cpu_ms.get(stage, 0.0) + (time.thread_time() - cpu_began) * 1000
            self.trace(stage, began_ns=began_ns, ended_ns=time.time_ns())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
