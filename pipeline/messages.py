"""The two messages that travel between catalogue and workers.

Fields are only ever added, each with a default; unknown ones are ignored, so that a worker of one
version and a catalogue of the next understand each other. ``tests/pipeline/examples/`` keeps one
stored message per schema version. Bytes of pictures never ride the queue.
"""

from __future__ import annotations

import base64
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Purpose(StrEnum):
    """Why a picture is tagged; decides the queue and who may see the answer."""

    LIVE = "live"
    CAMPAIGN = "campaign"
    SHADOW = "shadow"
    TRY = "try"


class Outcome(StrEnum):
    """How the worker closed a request."""

    TAGGED = "tagged"
    FAILED = "failed"


class FailureReason(StrEnum):
    """Why a picture could not be tagged. Stable words: they stand in the ledger and in the API."""

    CORRUPT = "corrupt"
    TOO_LARGE = "too-large"
    UNSUPPORTED = "unsupported"
    MISSING_BLOB = "missing-blob"
    DEAD_LETTERED = "dead-lettered"


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class TagRequest(_Message):
    """Catalogue → worker: tag these bytes."""

    schema_version: int = SCHEMA_VERSION
    job_id: int
    generation: int
    purpose: Purpose
    asset_id: int | None = None
    blob_key: str
    sha256: str
    media_type: str
    model_label: str = ""
    """TF Serving version label to ask; empty: whatever the server serves by default."""
    renditions: bool = True
    request_id: str = ""
    traceparent: str = ""
    """What made the request, in the form of W3C's *Trace Context*; empty: nobody traces it."""
    requested_at: datetime


class ModelIdentity(_Message):
    """Which model answered, and in which spaces its numbers live."""

    name: str
    version: int
    preprocess_id: str
    vocabulary_id: str
    embedding_id: str


class Rendition(_Message):
    """A derived size, stored beside the original."""

    name: str
    key: str
    media_type: str = "image/jpeg"
    width: int
    height: int


class PictureFacts(_Message):
    """What the decoded picture is. Width and height in pixels, after the EXIF orientation."""

    width: int
    height: int
    placeholder: str = ""
    """A tiny JPEG as a ``data:`` address, shown until the rendition has loaded."""
    fingerprint: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    """A difference hash: 64 bits as a signed number, nearly equal for pictures that look the same. None: too
    little structure to tell it from others, or the worker makes none."""
    colours: tuple[Annotated[str, Field(max_length=10)], ...] = ()
    """Names of its main colours, the largest first. Every picture has one, so none: the worker makes none."""


class LabelScore(_Message):
    """One label of the model's vocabulary and its probability in [0, 1]."""

    label: str
    score: Annotated[float, Field(ge=0, le=1.0001)]


class TagResult(_Message):
    """Worker → catalogue: the answer to one :class:`TagRequest`."""

    schema_version: int = SCHEMA_VERSION
    job_id: int
    generation: int
    purpose: Purpose
    sha256: str = ""
    """Of the request. A catalogue that was restored from a backup gives numbers of jobs out again: this tells
    an answer to the job of before. Empty: the worker does not say."""
    outcome: Outcome
    reason: FailureReason | None = None
    detail: str = ""
    """A sentence for people; never holds file contents."""
    model: ModelIdentity | None = None
    scores: tuple[LabelScore, ...] = ()
    embedding_f32: str = ""
    """Base64 of little-endian float32; see :meth:`embedding`."""
    picture: PictureFacts | None = None
    renditions: tuple[Rendition, ...] = ()
    stage_ms: dict[str, float] = Field(default_factory=dict)
    predict_share_ms: float | None = None
    """The model server's time for this picture: that of its batch (``predict`` in ``stage_ms``), divided."""
    request_id: str = ""
    traceparent: str = ""
    """What follows from this answer belongs under it; the request's own where the worker does not trace."""

    def embedding(self) -> NDArray[np.float32] | None:
        """The unit-length embedding, float32 ``[D]``, or None if the request failed."""
        if not self.embedding_f32:
            return None
        return np.frombuffer(base64.b64decode(self.embedding_f32), dtype="<f4").astype(np.float32)


def encode_embedding(vector: NDArray[np.float32]) -> str:
    """Text form of a float32 ``[D]`` vector for :attr:`TagResult.embedding_f32`."""
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")
