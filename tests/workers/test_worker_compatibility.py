"""A worker and a catalogue of neighbouring versions work together, through the real processes."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_publish
from dam.loops.results import record_batch
from pipeline.messages import Outcome, TagRequest, TagResult
from pipeline.ports import Message, Transport
from pipeline.topology import INTERACTIVE, RESULTS
from tests.pipeline import pictures
from tests.workers.desk import PATIENCE_S, Desk
from tests.workers.worker_process import StartProcess

NEWER = {"of_a_later_version": {"deep": [1, 2]}, "schema_version": 2}


def optional(kind: type[TagRequest | TagResult]) -> set[str]:
    return {name for name, field in kind.model_fields.items() if not field.is_required()}


def test_a_request_of_a_later_catalogue_is_answered(start_process: StartProcess, desk: Desk) -> None:
    start_process()
    request = desk.request(pictures.jpeg())
    stored = json.loads(request.model_dump_json())

    desk.publish_raw(json.dumps(stored | NEWER).encode(), INTERACTIVE)

    assert desk.answers([request.job_id])[0].outcome is Outcome.TAGGED


def test_a_request_of_an_earlier_catalogue_is_answered(start_process: StartProcess, desk: Desk) -> None:
    """All that has a default is what a version before may not have had."""
    start_process()
    request = desk.request(pictures.jpeg())
    stored = json.loads(request.model_dump_json(exclude=optional(TagRequest)))
    assert set(stored) < set(json.loads(request.model_dump_json()))

    desk.publish_raw(json.dumps(stored).encode(), INTERACTIVE)

    (result,) = desk.answers([request.job_id])
    assert result.outcome is Outcome.TAGGED
    assert [rendition.name for rendition in result.renditions] == ["grid", "preview"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("worker", ["earlier", "later"])
def test_a_catalogue_records_the_answer_of_a_worker_of_another_version(
    start_process: StartProcess, transport: Transport, settings: Any, worker: str
) -> None:
    user = User.objects.create_user("uploader")
    data = pictures.jpeg(seed=5 if worker == "earlier" else 6)
    asset = asset_create(stream=io.BytesIO(data), filename="a.jpg", user=user).asset
    start_process(BLOB_URL=settings.BLOB_URL)
    with transport.publisher() as publisher:
        assert jobs_publish(publisher=publisher) == 1

    with transport.consumer([RESULTS]) as consumer, transport.publisher() as publisher:
        (answer,) = consumer.receive(limit=10, wait_s=PATIENCE_S)
        publisher.publish([Message(RESULTS, _as_said_by(worker, answer.body), answer.message_id)])
        consumer.ack([answer])
        record_batch(consumer, consumer.receive(limit=10, wait_s=PATIENCE_S))

    asset.refresh_from_db()
    assert asset.state == Asset.State.TAGGED
    assert TaggingJob.objects.get().state == TaggingJob.State.DONE


def _as_said_by(worker: str, body: bytes) -> bytes:
    """The same answer without what an earlier worker may not have known, or with what a later one adds."""
    said = json.loads(body)
    if worker == "later":
        return json.dumps(said | NEWER).encode()
    for name in (
        "schema_version",
        "sha256",
        "detail",
        "renditions",
        "stage_ms",
        "request_id",
        "traceparent",
        "picture",
    ):
        del said[name]
    return json.dumps(said).encode()
