"""The relay takes jobs from the table to the broker: each once, however many relays there are."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image
from psycopg.conninfo import make_conninfo

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.jobs.services import job_enqueue, jobs_publish
from dam.loops import relay
from pipeline.blobs import original_key
from pipeline.messages import TagRequest
from pipeline.ports import Message
from pipeline.postgres_queue import PostgresTransport
from pipeline.topology import BULK, INTERACTIVE, SHADOW
from tests.dam.factories import TaggingJobFactory, UserFactory
from tests.dam.relaying import SOON, queue_jobs, relays, states, take, wake
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_jobs_that_nobody_waits_for_are_bulk_whoever_issued_them() -> None:
    """So the lane of a job in the table is the queue that it goes to, and one cannot block the other."""
    purpose = TaggingJob.Purpose
    facts = {"blob_key": original_key("0" * 64), "sha256": "0" * 64, "media_type": "image/png"}
    asset = {"asset_id": TaggingJobFactory().asset_id}
    made = [
        job_enqueue(purpose=purpose.LIVE, generation=2, **asset, **facts),
        job_enqueue(purpose=purpose.LIVE, generation=3, bulk=True, **asset, **facts),
        job_enqueue(purpose=purpose.CAMPAIGN, generation=4, **asset, **facts),
        job_enqueue(purpose=purpose.SHADOW, generation=5, **asset, **facts),
        job_enqueue(purpose=purpose.TRY, bulk=True, **facts),
    ]
    assert [job.bulk for job in made] == [False, True, True, True, False]


# ---------------------------------------------------- many jobs, many relays


class Recording:
    """A publisher that says what it was given, and looks at the table meanwhile."""

    def __init__(self, look: Callable[[], None] = lambda: None) -> None:
        self.given: list[int] = []
        self._look = look

    def publish(self, messages: Sequence[Message]) -> None:
        self.given += [TagRequest.model_validate_json(message.body).job_id for message in messages]
        self._look()


def test_a_batch_is_all_that_is_read_and_locked_of_a_long_table(database_url: str) -> None:
    ids = queue_jobs(3_000)
    free: list[int] = []
    elsewhere = make_conninfo(database_url, dbname=connection.settings_dict["NAME"])

    def look() -> None:
        with psycopg.connect(elsewhere) as other:
            rows = other.execute("SELECT id FROM jobs_taggingjob FOR UPDATE SKIP LOCKED").fetchall()
            free.extend(row[0] for row in rows)

    publisher = Recording(look)
    assert jobs_publish(publisher=publisher, limit=200) == 200  # type: ignore[arg-type]
    assert publisher.given == ids[:200]
    assert sorted(free) == ids[200:]


def test_the_next_jobs_are_found_by_the_index_among_many() -> None:
    queue_jobs(20_000)
    TaggingJob.objects.filter(pk__in=TaggingJob.objects.order_by("pk")[:10_000]).update(state="published")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_taggingjob")
    for queue, index in ((BULK, "job_queued"), (INTERACTIVE, "job_queued"), (SHADOW, "job_shadow_open")):
        with CaptureQueriesContext(connection) as captured:
            jobs_publish(publisher=Recording(), queue=queue)  # type: ignore[arg-type]
        (asked,) = [query["sql"] for query in captured if "FOR UPDATE" in query["sql"]]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {asked}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert f"Index Scan using {index}" in plan
        # Of those that go to the last queue there are few at any time.
        assert "Sort" not in plan or queue == SHADOW


def test_two_relays_at_once_publish_every_job_once(broker: PostgresTransport) -> None:
    ids = queue_jobs(4_000)
    with relays(2):
        wait_for(lambda: not states()["queued"], within_s=SOON, what=lambda: str(states()))
    assert sorted(take(broker)) == ids
    assert set(TaggingJob.objects.values_list("state", "attempts")) == {("published", 1)}


def test_a_wake_up_for_every_job_of_an_import_is_one_look(broker: PostgresTransport, monkeypatch) -> None:
    """An import announces each file; a relay that answered each would look for hours when it is over."""
    looks: list[int] = []
    publish = relay.jobs_publish

    def counting(**arguments: object) -> int:
        looks.append(publish(**arguments))  # type: ignore[arg-type]
        if len(looks) == 3:
            for _ in range(300):
                wake()
        return looks[-1]

    monkeypatch.setattr(relay, "jobs_publish", counting)
    queue_jobs(1)
    with relays():
        # A look for each queue: in the first round the job is found, in the second nothing is left.
        wait_for(lambda: len(looks) >= 6, within_s=SOON, what=lambda: str(looks))
        queue_jobs(1)
        wake()
        wait_for(lambda: states()["published"] == 2, within_s=SOON, what=lambda: str(looks))
    assert len(looks) < 50


# --------------------------------------------------------- ends of processes

_KILLED_AFTER_CONFIRM = """
import os, signal, threading
import django
django.setup()
from dam.loops import relay
from pipeline.postgres_queue import PostgresPublisher
publish = PostgresPublisher.publish
def publish_and_die(self, messages):
    publish(self, messages)
    os.kill(os.getpid(), signal.SIGKILL)
PostgresPublisher.publish = publish_and_die
relay.run(threading.Event())
"""


@pytest.fixture
def environment(database_url: str, settings) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": make_conninfo(database_url, dbname=connection.settings_dict["NAME"]),
        "VITRINE_QUEUE_URL": settings.QUEUE_URL,
        "DJANGO_SETTINGS_MODULE": "dam.settings",
    }


def test_a_relay_killed_between_the_confirmation_and_its_commit_publishes_twice(
    broker: PostgresTransport, environment: dict[str, str]
) -> None:
    ids = queue_jobs(3)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_AFTER_CONFIRM], env=environment, timeout=SOON, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    wait_for(lambda: not _is_locked(ids[0]), within_s=SOON, what=lambda: "the end of its session")
    assert states() == {"queued": 3}
    with broker.publisher() as publisher:
        assert jobs_publish(publisher=publisher) == 3
    assert sorted(take(broker)) == sorted(ids * 2)


def _is_locked(job_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM jobs_taggingjob WHERE id = %s FOR UPDATE SKIP LOCKED", [job_id])
        return cursor.rowcount == 0


def test_a_relay_stops_cleanly_when_it_is_asked_to(
    broker: PostgresTransport, environment: dict[str, str]
) -> None:
    queue_jobs(1)
    with subprocess.Popen(
        [sys.executable, "-m", "dam.cli", "relay"], env=environment, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for(lambda: states()["published"] == 1, within_s=SOON, what=lambda: str(states()))
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=SOON)
        finally:
            process.kill()
    assert process.returncode == 0
    assert b"Traceback" not in said


def test_an_upload_does_not_need_the_broker(settings) -> None:
    settings.QUEUE_URL = "amqp://nobody:nothing@127.0.0.1:1/"
    client = Client()
    client.force_login(UserFactory())
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (7, 200, 9)).save(picture, "PNG")
    picture.seek(0)
    picture.name = "a.png"
    answer = client.post("/api/v1/assets/", {"file": picture})
    assert answer.status_code == 201
    assert TaggingJob.objects.get(asset=Asset.objects.get()).state == "queued"
