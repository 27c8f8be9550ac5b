"""The relay takes jobs from the table to the broker: each once, people's first, what the queues take."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image
from psycopg.conninfo import make_conninfo

from dam.assets.models import Asset
from dam.jobs.models import TaggingJob
from dam.jobs.services import job_enqueue, jobs_publish, round_begin, round_give_back
from dam.loops import housekeeping, relay
from pipeline.blobs import original_key
from pipeline.messages import TagRequest
from pipeline.ports import Message, QueueFullError, Transport, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.rabbitmq.transport import RabbitTransport
from pipeline.topology import BULK, INTERACTIVE, QUEUES, REQUEST_QUEUES, QueueSpec
from tests.dam.factories import TaggingJobFactory, UserFactory
from tests.plugins.rabbitmq import RabbitNode
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SOON = 60.0


@pytest.fixture
def broker(scratch_database_url: str, settings) -> PostgresTransport:
    settings.QUEUE_URL = scratch_database_url
    transport = PostgresTransport(scratch_database_url)
    transport.declare()
    return transport


def queue_jobs(count: int, *, bulk: bool = True) -> list[int]:
    """Queued jobs of one asset, made by one statement; their ids."""
    first = TaggingJobFactory(bulk=bulk)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_taggingjob (asset_id, asset_version_id, generation, purpose, bulk, "
            "model_label, blob_key, sha256, media_type, request_id, state, attempts, reason, detail, "
            "created_at) SELECT asset_id, asset_version_id, number, purpose, bulk, model_label, blob_key, "
            "sha256, media_type, request_id, state, 0, '', '', now() "
            "FROM jobs_taggingjob, generate_series(2, %s) AS number WHERE id = %s RETURNING id",
            [count, first.pk],
        )
        return [first.pk, *(row[0] for row in cursor.fetchall())]


def states() -> Counter[str]:
    return Counter(TaggingJob.objects.values_list("state", flat=True))


def take(broker: Transport, queues: Sequence[str] = REQUEST_QUEUES) -> list[int]:
    """Take and acknowledge what is there; the ids of the jobs."""
    taken: list[int] = []
    with broker.consumer(queues) as consumer:
        while batch := consumer.receive(limit=500, wait_s=0.1):
            taken += [TagRequest.model_validate_json(delivery.body).job_id for delivery in batch]
            consumer.ack(batch)
    return taken


@contextmanager
def in_threads(*works: Callable[[], None]) -> Iterator[None]:
    """Run each in a thread; they end by themselves after the block, and well."""
    ended: list[bool] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
            ended.append(True)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(SOON)
    assert len(ended) == len(works)


@contextmanager
def relays(count: int = 1) -> Iterator[None]:
    stop = threading.Event()
    with in_threads(*[lambda: relay.run(stop)] * count):
        try:
            yield
        finally:
            stop.set()


# ------------------------------------------------------------- full queues


@pytest.fixture
def limited(broker: PostgresTransport, settings, monkeypatch) -> Callable[..., PostgresTransport]:
    """Makes the queue anew with other limits, for the relays of the test too."""

    def make(**limits: int) -> PostgresTransport:
        transport = PostgresTransport(settings.QUEUE_URL, limited_queues(**limits))
        transport.declare()
        monkeypatch.setattr(relay, "transport_from_url", lambda _url: transport)
        return transport

    return make


def limited_queues(**limits: int) -> list[QueueSpec]:
    """``bulk=10``: the bulk queue takes so many."""
    known = {f"tagging.{name}": limit for name, limit in limits.items()}
    return [replace(queue, max_length=known.get(queue.name, queue.max_length)) for queue in QUEUES]


def wake() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('vitrine_jobs', '')")


def test_what_a_full_queue_took_is_published_and_the_rest_stays_queued(limited) -> None:
    broker = limited(bulk=10)
    ids = queue_jobs(25)
    person = queue_jobs(1, bulk=False)
    with broker.publisher() as publisher:
        with pytest.raises(QueueFullError):
            jobs_publish(publisher=publisher)
        assert states() == {"published": 11, "queued": 15}
        assert sorted(take(broker)) == ids[:10] + person
        with pytest.raises(QueueFullError):
            jobs_publish(publisher=publisher)
        assert take(broker) == ids[10:20]
        assert jobs_publish(publisher=publisher) == 5
    assert take(broker) == ids[20:]
    assert set(TaggingJob.objects.values_list("state", "attempts")) == {("published", 1)}


def overtake_and_drain(broker: Transport, imported: list[int]) -> None:
    """Before a full bulk queue: three people's jobs arrive; then all of the import as the queue empties."""
    with broker.consumer([INTERACTIVE]) as consumer:
        for _ in range(3):
            person = queue_jobs(1, bulk=False)
            wake()
            (delivery,) = consumer.receive(limit=1, wait_s=SOON)
            assert TagRequest.model_validate_json(delivery.body).job_id == person[0]
            consumer.ack([delivery])
    # A queue may take a few more than its limit, but what it took is what is marked.
    bulk = TaggingJob.objects.filter(bulk=True)
    wait_for(
        lambda: broker.depths()[BULK].ready == bulk.filter(state="published").count(),
        within_s=SOON,
        what=lambda: f"{broker.depths()} as marked: {states()}",
    )
    assert bulk.filter(state="queued").count() > len(imported) / 2
    seen: list[int] = []
    wait_for(
        lambda: len(seen.extend(take(broker, [BULK])) or seen) >= len(imported),
        within_s=SOON,
        what=lambda: f"{len(seen)} of {len(imported)}",
    )
    assert sorted(seen) == imported


def test_a_full_bulk_queue_does_not_delay_what_people_wait_for(limited) -> None:
    broker = limited(bulk=10)
    imported = queue_jobs(40)
    with relays():
        wait_for(lambda: states()["published"] == 10, within_s=SOON, what=lambda: str(states()))
        overtake_and_drain(broker, imported)


@pytest.fixture
def rabbitmq_url(rabbit_node: RabbitNode) -> Iterator[str]:
    url = rabbit_node.make_vhost()
    yield url
    rabbit_node.drop_vhost(url)


def test_a_full_bulk_queue_of_rabbitmq_does_not_either(rabbitmq_url: str, monkeypatch) -> None:
    broker = RabbitTransport(rabbitmq_url, limited_queues(bulk=50))
    broker.declare()
    monkeypatch.setattr(relay, "transport_from_url", lambda _url: broker)
    imported = queue_jobs(1_500)
    with relays():
        wait_for(lambda: states()["published"] >= 50, within_s=SOON, what=lambda: str(states()))
        overtake_and_drain(broker, imported)


def test_a_full_interactive_queue_does_not_stop_the_import(limited) -> None:
    broker = limited(interactive=1)
    queue_jobs(5, bulk=False)
    queue_jobs(5)
    with relays():
        wait_for(lambda: states()["published"] == 6, within_s=SOON, what=lambda: str(states()))
        assert len(take(broker, [BULK])) == 5


def test_a_relay_before_a_full_queue_rests_longer_and_longer(limited, monkeypatch) -> None:
    """Each refused attempt costs the broker the messages once more."""
    limited(bulk=1)
    refused: list[float] = []
    publish = relay.jobs_publish

    def noting(**arguments: Any) -> int:
        try:
            return publish(**arguments)
        except QueueFullError:
            refused.append(time.monotonic())
            raise

    monkeypatch.setattr(relay, "jobs_publish", noting)
    queue_jobs(20)
    with relays():
        wait_for(lambda: len(refused) >= 7, within_s=SOON, what=lambda: str(len(refused)))
    rests = [second - first for first, second in pairwise(refused)]
    # At least half of 0.1, 0.2, 0.4 … 2 seconds, however slow the machine; a busy loop asks at once.
    for rest, least in zip(rests, (0.05, 0.1, 0.2, 0.4, 0.8, 1.0), strict=False):
        assert rest >= least


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
    for bulk in (True, False):
        with CaptureQueriesContext(connection) as captured:
            jobs_publish(publisher=Recording(), bulk=bulk)  # type: ignore[arg-type]
        (asked,) = [query["sql"] for query in captured if "FOR UPDATE" in query["sql"]]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {asked}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Index Scan using job_queued" in plan
        assert "Sort" not in plan


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
        if len(looks) == 2:
            for _ in range(300):
                wake()
        return looks[-1]

    monkeypatch.setattr(relay, "jobs_publish", counting)
    queue_jobs(1)
    with relays():
        # Two looks for each round: the first finds the job, in the second nothing is left.
        wait_for(lambda: len(looks) >= 4, within_s=SOON, what=lambda: str(looks))
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


# ---------------------------------------------------------- regular rounds


def age_round(name: str, *, by: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_round SET begun_at = begun_at - %s::interval WHERE name = %s", [by, name])


def test_of_many_relays_one_begins_a_round_until_it_is_due_again() -> None:
    begun: list[bool] = []
    every = timedelta(hours=1)

    def begin() -> None:
        begun.append(round_begin(name="orphans", every=every))

    with in_threads(*[begin] * 4):
        pass
    assert sorted(begun) == [False, False, False, True]
    age_round("orphans", by="59 minutes")
    assert not round_begin(name="orphans", every=every)
    age_round("orphans", by="1 minute")
    assert round_begin(name="orphans", every=every)
    round_give_back(name="orphans")
    assert round_begin(name="orphans", every=every)


def test_a_running_relay_publishes_again_what_has_no_answer_for_too_long(
    broker: PostgresTransport, monkeypatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_EVERY_S", 0.1)
    (job_id,) = queue_jobs(1)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE jobs_taggingjob SET state = 'published', attempts = 1, "
            "published_at = now() - interval '2 hours'"
        )
    with relays():
        wait_for(
            lambda: TaggingJob.objects.get().attempts == 2, within_s=SOON, what=lambda: "the second attempt"
        )
    assert take(broker) == [job_id]
    assert TaggingJob.objects.get().generation == 1


def test_a_store_that_is_down_stops_no_other_round_and_is_asked_again(monkeypatch) -> None:
    done: list[str] = []

    def down(_should_stop) -> dict[str, int]:
        done.append("down")
        raise TransportDownError("no store")

    def works(_should_stop) -> dict[str, int]:
        done.append("works")
        return {}

    every = housekeeping.ROUNDS[0].every
    rounds = [housekeeping.Round("a", every, down), housekeeping.Round("b", every, works)]
    monkeypatch.setattr(housekeeping, "ROUNDS", rounds)
    for _ in range(2):
        housekeeping.do_rounds(lambda: False)
    assert done == ["down", "works", "down"]
