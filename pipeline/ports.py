"""The boundaries of the pipeline, each with several implementations.

=============  ==============================================  =======================
port           here                                            elsewhere
=============  ==============================================  =======================
Transport      ``postgres_queue.PostgresTransport``            RabbitMQ
BlobStore      ``blobs.FolderBlobStore``                       S3
Predictor      ``tfserving.client.TensorFlowServing``          a null predictor in benchmarks
=============  ==============================================  =======================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from pipeline.messages import ModelIdentity


class DependencyDownError(Exception):
    """Something we depend on does not answer; try again later, nothing is wrong with the message."""


# ---------------------------------------------------------------- transport


class TransportDownError(DependencyDownError):
    """The broker does not answer; nothing is known to be stored."""


class QueueFullError(TransportDownError):
    """A queue is at its limit and took no more; what is not in ``refused`` is stored durably.

    Args:
        refused: positions in the sequence that was given to ``publish``.
        queues: the queues that are full.
    """

    def __init__(self, refused: frozenset[int], queues: frozenset[str]) -> None:
        super().__init__(f"full: {', '.join(sorted(queues))}")
        self.refused = refused
        self.queues = queues


@dataclass(frozen=True, slots=True)
class Message:
    """What is published."""

    queue: str
    body: bytes
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is received. ``token`` belongs to the transport and to the consumer that received it."""

    queue: str
    body: bytes
    message_id: str
    delivery_count: int
    """1 on the first delivery."""
    token: object
    dead_reason: str = ""
    """On a dead-letter queue: why it is here."""


class _Closing(Protocol):
    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Publisher(_Closing, Protocol):
    """Publishes with confirmation."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Return when every message is stored durably.

        Raises:
            QueueFullError: all but those that it names are stored.
            TransportDownError: some may be stored and some not; publishing again is harmless.
            KeyError: a queue that the topology does not declare.
        """
        ...


class Consumer(_Closing, Protocol):
    """Receives in micro-batches and keeps what it holds un-acked alive while the caller works."""

    def receive(self, *, limit: int, wait_s: float, linger_s: float = 0.0) -> list[Delivery]:
        """Up to ``limit`` deliveries, from the first of the consumer's queues that has any, then the next.

        Waits up to ``wait_s`` seconds for the first one, then up to ``linger_s`` more to fill the
        batch. Empty list: nothing came. A redelivered message (``delivery_count > 1``) always comes
        alone, so that one which kills the process takes no neighbour with it.

        Returns or raises a second or two after that time at the latest, whatever the network does, so that
        who waits here notices other things, too; it may be called again after an error.

        Raises:
            TransportDownError: the broker does not answer.
        """
        ...

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """The work is done and its result stored; the messages are gone.

        Acknowledging a delivery that was meanwhile given to somebody else does nothing.
        """
        ...

    def reject(self, delivery: Delivery, *, reason: str) -> None:
        """Send a message that can never succeed to the dead-letter queue."""
        ...

    def take_no_more(self) -> None:
        """Ask the broker for nothing further.

        ``receive`` then hands out what was already delivered to this process, and returns an empty
        list at once when that is all. So a process that stops finishes what it was given instead of
        returning it, which would cost each message an attempt.
        """
        ...


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many messages wait, how many are held by consumers (None: the broker does not tell)."""

    ready: int
    held: int | None
    consumers: int
    """Those that live and take from this queue, from their first ``receive`` on; with RabbitMQ roughly: see
    ``docs/queue.md``."""


class Transport(_Closing, Protocol):
    """A durable broker: at least once, with a delivery limit and dead letters."""

    def declare(self) -> None:
        """Create what the topology names. Idempotent, safe to run by many at once."""
        ...

    def publisher(self) -> Publisher:
        """A publisher on a connection of its own."""
        ...

    def consumer(self, queues: Sequence[str], *, prefetch: int = 64) -> Consumer:
        """A consumer of ``queues`` in that order of priority; dead-letter queues can be named too.

        ``prefetch``: how many un-acked messages of each queue it may hold; two of the caller's batches.
        """
        ...

    def depths(self) -> dict[str, QueueDepth]:
        """Every declared queue and dead-letter queue by name."""
        ...


# --------------------------------------------------------------- blob store


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes in the store."""

    sha256: str
    size: int
    key: str


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """An original as the store lists it. ``age_s``: seconds since it was last written."""

    sha256: str
    key: str
    age_s: float


class BlobMissingError(Exception):
    """There is nothing under that key."""


class BlobStore(Protocol):
    """Bytes by content hash, and derived files beside them."""

    def put(self, stream: BinaryIO) -> StoredBlob:
        """Store a stream under its sha256, once, atomically and durably; equal bytes are one blob."""
        ...

    def put_renditions(self, original_key: str, files: Mapping[str, bytes]) -> dict[str, str]:
        """Store derived files by name (such as ``grid.jpg``) beside their original; replaces earlier ones.

        Returns their keys by name.

        Raises:
            BlobMissingError: there is no such original; then none of them is kept.
            ValueError: not a name for a rendition.
            DependencyDownError: the store does not answer; some may be stored.
        """
        ...

    def exists(self, key: str) -> bool:
        """Whether there is something under that key."""
        ...

    def read(self, key: str) -> bytes:
        """All bytes.

        Raises:
            BlobMissingError: no such key.
            DependencyDownError: the store does not answer.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """A readable stream; the same errors as :meth:`read`."""
        ...

    def originals(self, *, older_than_s: float) -> Iterator[StoredOriginal]:
        """Every original that was stored at least so many seconds ago, in the order of the keys.

        Raises:
            DependencyDownError: the store does not answer.
        """
        ...

    def download_address(
        self, key: str, *, filename: str, media_type: str, expires_s: int = 300
    ) -> str | None:
        """Where a browser may fetch the bytes for so many seconds, as an attachment of that name.

        None: the store has no addresses of its own, so the catalogue sends the bytes.
        """
        ...

    def sweep_incoming(self, *, older_than_s: float) -> int:
        """Remove what interrupted writes left behind that long ago; returns how many."""
        ...

    def delete(self, key: str) -> None:
        """Remove an original with everything beside it; nothing happens if it is not there."""
        ...


# ---------------------------------------------------------------- predictor


class PredictorDownError(DependencyDownError):
    """The model server does not answer in time, or the model is still loading."""


class ModelMissingError(PredictorDownError):
    """The server answers but has no such model, version or label."""


class IncompatibleModelError(PredictorDownError):
    """The version that answered asks for a preprocess that this worker cannot do."""


class PreprocessSpec(BaseModel):
    """How pixels must be prepared; travels inside the model. ``images`` are uint8 RGB ``[N, H, W, 3]``."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    width: int
    height: int
    fit: str = "squash"
    interpolation: str = "area"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a version says of itself (signature ``spec``)."""

    identity: ModelIdentity
    preprocess: PreprocessSpec
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """An answer for N pictures: scores float32 ``[N, L]``, embeddings float32 ``[N, D]`` of unit length."""

    spec: ModelSpec
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float32]


class Predictor(Protocol):
    """A model server."""

    def spec(self, label: str = "") -> ModelSpec:
        """The spec of the version that serves ``label`` now (empty: the default one).

        Raises:
            PredictorDownError, ModelMissingError
        """
        ...

    def predict(self, images: NDArray[np.uint8], *, label: str = "") -> Predictions:
        """Scores and embeddings for uint8 RGB ``[N, H, W, 3]``, with the spec of the version that answered.

        Raises:
            PredictorDownError, ModelMissingError
            ValueError: the images have another shape than the version asks for.
        """
        ...
