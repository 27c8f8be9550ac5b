"""Fills an empty database by the services of the version that is imported, and leaves work open.

A program: ``python fill.py PICTURES`` with an earlier version on ``PYTHONPATH``. It uses only what every
version that :mod:`tests.upgrade.earlier` names has; where something moved, both places are tried.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import django
import numpy as np
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
django.setup()

# Of the version that runs, and so only now.
from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402

from dam.assets.models import Asset  # noqa: E402
from dam.assets.services import asset_create, asset_request_tags, root_collection  # noqa: E402
from dam.jobs import services as job_services  # noqa: E402
from dam.loops import results  # noqa: E402
from dam.tagging.models import Decision, Tag  # noqa: E402
from dam.tagging.services import decision_make, tag_get_or_create, tag_update, try_create  # noqa: E402
from pipeline.messages import (  # noqa: E402
    FailureReason,
    LabelScore,
    ModelIdentity,
    Outcome,
    TagRequest,
    TagResult,
    encode_embedding,
)
from pipeline.ports import Message, Transport  # noqa: E402
from pipeline.topology import REQUEST_QUEUES, RESULTS  # noqa: E402
from pipeline.transports import transport_from_url  # noqa: E402

try:
    from dam.jobs.publishing import jobs_publish
except ImportError:
    from dam.jobs.services import jobs_publish

_MODEL = ModelIdentity(name="m", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")
_SCORES = (("beagle", 0.9), ("dog", 0.95), ("espresso", 0.35), ("temple", 0.04))


def publish(broker: Transport) -> None:
    with broker.publisher() as publisher:
        jobs_publish(publisher=publisher)


def answer(broker: Transport, fails: Sequence[str] = ()) -> None:
    """Answer every request, those for the named contents by a failure, and record the answers."""
    with broker.consumer(REQUEST_QUEUES) as consumer, broker.publisher() as publisher:
        while batch := consumer.receive(limit=100, wait_s=0.2):
            asked = [TagRequest.model_validate_json(delivery.body) for delivery in batch]
            bodies = [said(request, fails=request.sha256 in fails) for request in asked]
            publisher.publish([Message(RESULTS, body, str(number)) for number, body in enumerate(bodies)])
            consumer.ack(batch)
    with broker.consumer(results.SOURCES) as consumer:
        while batch := consumer.receive(limit=100, wait_s=0.2):
            results.record_batch(consumer, batch)


def said(request: TagRequest, *, fails: bool) -> bytes:
    facts = {"job_id": request.job_id, "generation": request.generation, "purpose": request.purpose}
    if fails:
        failure = {"outcome": Outcome.FAILED, "reason": FailureReason.CORRUPT, "detail": "It ends too early."}
        return TagResult(**facts, **failure).model_dump_json().encode()
    chance = np.random.default_rng(request.job_id)
    vector = chance.normal(size=320).astype(np.float32)
    answered = TagResult(
        **facts,
        outcome=Outcome.TAGGED,
        model=_MODEL,
        scores=tuple(LabelScore(label=label, score=score) for label, score in _SCORES),
        embedding_f32=encode_embedding(vector / np.linalg.norm(vector)),
    )
    return answered.model_dump_json().encode()


def fill(pictures: Path) -> None:
    """Everything that a library of some months holds, in small."""
    call_command("migrate", verbosity=0)
    admin = User.objects.create_superuser("admin", "admin@example.org", "admin-passw0rd")
    curator = User.objects.create_user("curator", password="curator-passw0rd")
    curator.groups.add(Group.objects.create(name="curators"))
    call_command("create_token", "curator")
    holidays = root_collection().add_child(name="Holidays", description="Of a summer.")

    for label, _ in _SCORES:
        tag, _ = tag_get_or_create(name=label)
        tag_update(tag=tag, threshold=0.3)

    imported, (*uploaded, late) = pictures / "imported", sorted((pictures / "uploaded").iterdir())
    call_command("import", str(imported), "--user", "curator")
    for path in uploaded:
        upload = asset_create(
            stream=io.BytesIO(path.read_bytes()), filename=path.name, user=admin, collection=holidays
        )
    corrupt = upload.asset.current_version.blob.sha256
    try_create(stream=io.BytesIO(uploaded[0].read_bytes()), user=curator)
    with transport_from_url(settings.QUEUE_URL) as broker:
        broker.declare()
        publish(broker)
        answer(broker, fails=[corrupt])

        tagged = list(Asset.objects.filter(state="tagged").order_by("pk"))
        dog, espresso = Tag.objects.get(slug="dog"), Tag.objects.get(slug="espresso")
        tag_update(tag=Tag.objects.get(slug="beagle"), parents=[dog])
        decision_make(asset=tagged[0], tag=dog, verdict=Decision.Verdict.ACCEPTED, user=curator)
        decision_make(asset=tagged[1], tag=espresso, verdict=Decision.Verdict.REJECTED, user=curator)
        mine, _ = tag_get_or_create(name="Great-grandmother’s house")
        decision_make(asset=tagged[2], tag=mine, verdict=Decision.Verdict.ADDED, user=admin)
        if hasattr(job_services, "dead_letter_keep"):
            job_services.dead_letter_keep(
                queue="tagging.bulk.dead",
                message_id="1",
                body=b"\x00no json",
                reason="delivered too often",
                delivery_count=6,
                job_id=None,
                generation=None,
            )

        # Work that is open at the upgrade: asked for twice, and half of it in the broker's hands.
        for asset in tagged[:2]:
            asset_request_tags(asset=asset)
        publish(broker)
        for asset in tagged[2:4]:
            asset_request_tags(asset=asset)
        asset_create(stream=io.BytesIO(late.read_bytes()), filename=late.name, user=curator)


fill(Path(sys.argv[1]))
