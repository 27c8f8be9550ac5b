"""What a worker counts, beside the metrics that all processes share (``docs/metrics.md``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram

from pipeline.telemetry.metrics import BATCH_MESSAGES, STAGE_SECONDS
from workers.picture_work import PictureWork

PICTURE_STAGES = ("fetch", "decode", "encode", "store")
"""Of every picture by itself, in several threads."""
BATCH_STAGES = ("prepare", "predict", "publish", "ack")
"""Of all pictures of a batch together."""

PICTURES = Counter(
    "vitrine_pictures",
    "Pictures that were answered; the reason is empty where the outcome is not a failure.",
    ["queue", "outcome", "reason"],
)
MESSAGES_REJECTED = Counter(
    "vitrine_messages_rejected", "Messages that this worker sent to the dead-letter queue.", ["queue"]
)
BUSY_SECONDS = Counter(
    "vitrine_worker_busy_seconds",
    "Time spent on batches, without the pauses in which something that is down was waited for.",
)
MODEL_INFO = Gauge(
    "vitrine_worker_model_info",
    "1 for the version that answered last for each label of the model server; default: asked with none.",
    ["label", "version"],
)
PICTURE_MEGAPIXELS = Histogram(
    "vitrine_picture_megapixels",
    "Size of the pictures that were tagged.",
    buckets=(0.1, 0.3, 1, 2, 5, 10, 15, 25, 50, 100, 200),
)

_answered: dict[str, int] = {}


def tell_version(label: str, version: int) -> None:
    """This version answered for a label (empty: the default one)."""
    before = _answered.get(label)
    if before == version:
        return
    name = label or "default"
    if before is not None:
        MODEL_INFO.remove(name, str(before))
    _answered[label] = version
    MODEL_INFO.labels(name, str(version)).set(1)


def count_batch(works: Sequence[PictureWork], wall_ms: Mapping[str, float]) -> None:
    """Count an answered batch.

    Args:
        works: of one queue; every one has its result.
        wall_ms: what the stages of the batch took.
    """
    queue = works[0].delivery.queue
    BATCH_MESSAGES.labels("tag", queue).observe(len(works))
    for stage in BATCH_STAGES:
        if stage in wall_ms:
            STAGE_SECONDS.labels(stage, queue).observe(wall_ms[stage] / 1000)
    for stage in PICTURE_STAGES:
        seconds = STAGE_SECONDS.labels(stage, queue)
        for work in works:
            if stage in work.stage_ms:
                seconds.observe(work.stage_ms[stage] / 1000)
    for work in works:
        result = work.result
        if result is None:
            continue
        PICTURES.labels(queue, str(result.outcome), str(result.reason or "")).inc()
        if result.picture is not None:
            PICTURE_MEGAPIXELS.observe(result.picture.width * result.picture.height / 1e6)
