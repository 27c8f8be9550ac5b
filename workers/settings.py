"""What a worker is told by its environment; ``docs/workers.md`` has the table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FilePath, field_validator, model_validator
from pydantic_settings import NoDecode

from pipeline.preprocess import DEFAULT_LIMITS, Limits
from pipeline.secret_files import both_given, read_secret_file
from pipeline.telemetry.settings import ProcessSettings
from pipeline.topology import REQUEST_QUEUES

_MOST_DECODE_THREADS = 4


def _decode_threads() -> int:
    return min(_MOST_DECODE_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class WorkerSettings(ProcessSettings):
    """Beside what every process is told; durations as their names say."""

    queue_url: str
    """The broker, such as ``postgresql://…``."""
    queue_url_file: Path | None = None
    """Instead of it: a file that holds it, as containers mount it."""
    blob_url: str
    """The blob store, such as ``file:///var/lib/vitrine/blobs`` or ``s3://bucket/prefix``, which
    ``VITRINE_S3_*`` completes (``docs/storage.md``)."""
    model_servers: str
    """``host:port`` of the model servers, separated by commas."""
    model_name: str = "tagger"
    model_ca_file: FilePath | None = None
    """PEM certificates to trust; with it the connections to the model servers are encrypted."""

    queues: Annotated[tuple[str, ...], NoDecode] = REQUEST_QUEUES
    """What to drain, in this order of priority, separated by commas; ``tagging.shadow`` is always last."""
    batch_size: Annotated[int, Field(ge=1, le=256)] = 32
    linger_ms: Annotated[int, Field(ge=0, le=10_000)] = 200
    """How long a bulk batch waits to become full. A batch that a person waits for never does."""
    decode_threads: Annotated[int, Field(ge=1, le=64)] = Field(default_factory=_decode_threads)

    decode_memory_mb: Annotated[int, Field(ge=1)] = 96
    """What decoding may need at the same time beside the files; a picture that needs more goes alone."""

    score_floor: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Scores below it are not sent."""
    max_scores: Annotated[int, Field(ge=1)] = 100
    """At most so many scores are sent, the highest."""

    max_upload_bytes: Annotated[int, Field(ge=1)] = DEFAULT_LIMITS.max_bytes
    max_pixels: Annotated[int, Field(ge=1)] = DEFAULT_LIMITS.max_pixels

    predict_deadline_s: Annotated[float, Field(gt=0)] = 30.0
    picture_deadline_s: Annotated[float, Field(gt=0)] = 120.0
    """A picture that is not decoded by then ends the process; the delivery limit does the rest."""
    unknown_label_patience_s: Annotated[float, Field(ge=0)] = 60.0
    """How long to wait for a label that no version has, before its requests are dead-lettered."""
    shutdown_deadline_s: Annotated[float, Field(ge=0)] = 25.0
    """How long SIGTERM leaves to finish what was delivered; Kubernetes kills after 30, so end before."""

    heartbeat_file: str = ""
    """A file touched while the worker makes progress; empty: none."""

    @model_validator(mode="before")
    @classmethod
    def _from_its_file(cls, told: dict[str, Any]) -> dict[str, Any]:
        if not (path := told.get("queue_url_file")):
            return told
        if told.get("queue_url"):
            raise both_given("VITRINE_QUEUE_URL")
        return {**told, "queue_url": read_secret_file(Path(path), "VITRINE_QUEUE_URL_FILE")}

    @field_validator("queues", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("queues")
    @classmethod
    def _known(cls, queues: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(queues) - set(REQUEST_QUEUES)
        if unknown or not queues:
            raise ValueError(f"name one or more of {', '.join(REQUEST_QUEUES)}")
        return queues

    @property
    def limits(self) -> Limits:
        """The same limits as at the catalogue's door."""
        return Limits(max_bytes=self.max_upload_bytes, max_pixels=self.max_pixels)
