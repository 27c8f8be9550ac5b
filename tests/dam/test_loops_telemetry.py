"""What relay and writer say of themselves: a line for each batch, numbers, spans, and how they are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from structlog.typing import EventDict

from dam.assets.models import Asset
from dam.assets.services import asset_request_tags
from dam.jobs.models import TaggingJob
from dam.jobs.services import jobs_publish
from dam.loops import housekeeping, relay, results
from pipeline.ports import Message, QueueFullError, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.telemetry import tracing
from pipeline.telemetry.health import Health
from pipeline.telemetry.requests import for_request
from pipeline.topology import BULK, INTERACTIVE, QUEUES, REQUEST_QUEUES, RESULTS, SHADOW
from tests.dam.answers import SOON, record_all, requests, running, tagged_answer
from tests.plugins.ports import free_ports
from tests.plugins.system import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

CALLER = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with capture_logs() as found:
        yield found


class Grown:
    """How much a sample has grown since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    @property
    def by(self) -> float:
        return self._now() - self._before


def publish(broker: PostgresTransport, queue: str | None = None) -> int:
    with broker.publisher() as publisher:
        return jobs_publish(publisher=publisher, queue=queue)


def answer(broker: PostgresTransport, **changes: object) -> None:
    """Tag everything that was asked."""
    with broker.publisher() as publisher:
        publisher.publish(
            [
                Message(RESULTS, tagged_answer(request, request_id=request.request_id, **changes))
                for request in requests(broker)
            ]
        )
    record_all(broker)


# ------------------------------------------------------------------- relay


def test_a_published_batch_leaves_one_line_with_its_requests_and_the_time_of_each_stage(
    broker: PostgresTransport, upload: Callable[..., Asset], lines: list[EventDict]
) -> None:
    with for_request("import-1"):
        upload(bulk=True)
        upload(bulk=True)
    with for_request("visit-2"):
        upload()
    published = Grown("vitrine_jobs_published_total", queue=BULK)
    batches = Grown("vitrine_batch_messages_sum", stage="publish", queue=BULK)
    timed = Grown("vitrine_stage_duration_seconds_count", stage="publish", queue=BULK)
    assert publish(broker, BULK) == 2
    (line,) = [line for line in lines if line["event"] == "published"]
    assert (line["queues"], line["jobs"], line["request_ids"]) == ({BULK: 2}, 2, ["import-1"])
    stages = [line[f"{stage}_ms"] for stage in ("read", "publish", "mark")]
    assert all(spent >= 0 for spent in stages)
    assert line["total_ms"] == pytest.approx(sum(stages), abs=0.2)
    assert (published.by, batches.by, timed.by) == (2, 2, 1)
    assert publish(broker) == 1
    assert lines[-1]["request_ids"] == ["visit-2"]


def test_what_a_full_queue_refused_is_counted(
    scratch_database_url: str, upload: Callable[..., Asset], spans: InMemorySpanExporter
) -> None:
    small = [replace(queue, max_length=1) if queue.name == BULK else queue for queue in QUEUES]
    broker = PostgresTransport(scratch_database_url, small)
    broker.declare()
    for _ in range(3):
        upload(bulk=True)
    published = Grown("vitrine_jobs_published_total", queue=BULK)
    refused = Grown("vitrine_jobs_refused_total", queue=BULK)
    with pytest.raises(QueueFullError):
        publish(broker)
    assert (published.by, refused.by) == (1, 2)
    statuses = [span.status.description for span in spans.get_finished_spans()]
    assert statuses == [None, "the queue is full", "the queue is full"]


def test_a_relay_is_ready_when_it_listens_and_says_when_its_broker_is_away(
    broker: PostgresTransport, settings
) -> None:
    health = Health(max_silence_s=60)
    failures = Grown("vitrine_dependency_failures_total", stage="publish")
    assert health.readiness() == "starting"
    with running(partial(relay.run, health=health)):
        wait_for(lambda: not health.readiness(), within_s=SOON, what=health.readiness)
        assert health.liveness() == ""
        # Shown from the start, or the first one would be no increase.
        assert REGISTRY.get_sample_value("vitrine_jobs_refused_total", {"queue": SHADOW}) == 0
        waits = {"round": "orphans", "result": "failed"}
        assert REGISTRY.get_sample_value("vitrine_round_runs_total", waits) == 0
    (nobody,) = free_ports(1)
    settings.QUEUE_URL = f"amqp://guest:h1dden@127.0.0.1:{nobody}/"
    with capture_logs() as said, running(partial(relay.run, health=health)):
        wait_for(lambda: health.readiness() != "", within_s=SOON, what=lambda: str(health.checks()))
        assert health.liveness() == ""
    assert failures.by >= 1
    assert "h1dden" not in str(health.checks())
    assert "h1dden" not in str(said)


def test_regular_rounds_are_counted_by_what_came_of_them(monkeypatch) -> None:
    def works(_should_stop) -> dict[str, int]:
        return {"things": 1}

    def down(_should_stop) -> dict[str, int]:
        raise TransportDownError("no store")

    def wrong(_should_stop) -> dict[str, int]:
        raise LookupError

    every = timedelta(seconds=1)
    rounds = [housekeeping.Round(work.__name__, every, work) for work in (works, down, wrong)]
    monkeypatch.setattr(housekeeping, "ROUNDS", rounds)
    counted = [
        Grown("vitrine_round_runs_total", round=name, result=result)
        for name, result in (("works", "done"), ("down", "waits"), ("wrong", "failed"))
    ]
    before = timezone.now().timestamp()
    housekeeping.do_rounds(lambda: False)
    assert [one.by for one in counted] == [1, 1, 1]
    last = "vitrine_round_last_success_timestamp_seconds"
    assert REGISTRY.get_sample_value(last, {"round": "works"}) >= before
    assert REGISTRY.get_sample_value(last, {"round": "down"}) is None
    assert REGISTRY.get_sample_value("vitrine_round_duration_seconds_count", {"round": "works"}) == 1


# ------------------------------------------------------------------ writer


def test_a_recorded_batch_leaves_one_line_with_its_requests_and_the_time_of_each_stage(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None, lines: list[EventDict]
) -> None:
    with for_request("visit-3"):
        upload()
    publish(broker)
    tagged = Grown("vitrine_answers_recorded_total", outcome="tagged")
    timed = Grown("vitrine_stage_duration_seconds_count", stage="write", queue=RESULTS)
    answer(broker)
    (line,) = [line for line in lines if line["event"] == "recorded"]
    assert (line["messages"], line["tagged"], line["request_ids"]) == (1, 1, ["visit-3"])
    assert "failed" not in line
    stages = [line[f"{stage}_ms"] for stage in ("read", "record", "ack")]
    assert line["total_ms"] == pytest.approx(sum(stages), abs=0.2)
    assert (tagged.by, timed.by) == (1, 1)


def test_the_time_to_tagged_is_that_of_first_tags_of_new_pictures_by_lane(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None
) -> None:
    person = [
        Grown(f"vitrine_time_to_tagged_seconds_{what}", lane="interactive") for what in ("count", "sum")
    ]
    bulk = Grown("vitrine_time_to_tagged_seconds_count", lane="bulk")
    asset = upload()
    upload(bulk=True)
    TaggingJob.objects.filter(asset=asset).update(created_at=timezone.now() - timedelta(seconds=90))
    publish(broker)
    answer(broker)
    assert (person[0].by, bulk.by) == (1, 1)
    assert 90 <= person[1].by < 90 + SOON
    # Tagged again, on demand or in a campaign: nobody waited for first tags.
    asset_request_tags(asset=asset)
    publish(broker)
    answer(broker)
    asset_request_tags(asset=asset, purpose=TaggingJob.Purpose.CAMPAIGN)
    publish(broker)
    answer(broker)
    assert Asset.objects.get(pk=asset.pk).generation == 3
    assert (person[0].by, bulk.by) == (1, 1)


def test_a_dead_letter_keeps_the_request_and_is_counted(
    broker: PostgresTransport, upload: Callable[..., Asset], lines: list[EventDict]
) -> None:
    with for_request("visit-4"):
        upload()
    publish(broker)
    kept = Grown("vitrine_dead_letters_kept_total", queue=f"{INTERACTIVE}.dead")
    refused = Grown("vitrine_answers_recorded_total", outcome="refused")
    with broker.consumer(REQUEST_QUEUES) as consumer:
        consumer.reject(consumer.receive(limit=1, wait_s=SOON)[0], reason="it kills every worker")
    with broker.publisher() as publisher:
        publisher.publish([Message(RESULTS, b"no answer")])
    record_all(broker)
    recorded = [line for line in lines if line["event"] == "recorded"]
    assert "visit-4" in [one for line in recorded for one in line["request_ids"]]
    assert sum(line.get("dead_letters", 0) for line in recorded) == 2
    assert (kept.by, refused.by) == (1, 1)


def test_the_vocabulary_is_read_once_and_then_known(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None
) -> None:
    hits, misses = (Grown("vitrine_vocabulary_cache_requests_total", result=one) for one in ("hit", "miss"))
    for _ in range(3):
        upload()
        publish(broker)
        answer(broker)
    assert (hits.by, misses.by) == (2, 1)


def test_a_writer_whose_catalogue_is_away_is_not_ready_until_it_answers(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None, monkeypatch
) -> None:
    health = Health(max_silence_s=60)
    away = threading.Event()
    away.set()
    record = results.answers_record

    def refuse(**answers):
        if away.is_set():
            with connection.cursor() as cursor:
                # The server ends our connection, as it does when it goes down.
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return record(**answers)

    monkeypatch.setattr(results, "answers_record", refuse)
    asset = upload()
    publish(broker)
    with broker.publisher() as publisher:
        publisher.publish([Message(RESULTS, tagged_answer(request)) for request in requests(broker)])
    with running(partial(results.run, health=health)):
        wait_for(lambda: "terminat" in health.readiness(), within_s=SOON, what=health.readiness)
        assert health.liveness() == ""
        away.clear()
        wait_for(lambda: not health.readiness(), within_s=SOON, what=health.readiness)
    asset.refresh_from_db()
    assert asset.state == "tagged"


# ------------------------------------------------------------------ traces


def test_the_trace_of_a_job_goes_on_through_relay_and_writer(
    broker: PostgresTransport, upload: Callable[..., Asset], words: None, spans: InMemorySpanExporter
) -> None:
    with for_request("visit-5"), tracing.span("upload", parent=CALLER):
        job = upload().jobs.get()
    publish(broker)
    (request,) = requests(broker)
    published = next(span for span in spans.get_finished_spans() if span.name == "publish")
    assert request.traceparent.split("-")[1:3] == [
        f"{published.context.trace_id:032x}",
        f"{published.context.span_id:016x}",
    ]
    assert (published.kind.name, f"{published.parent.span_id:016x}") == ("PRODUCER", job.traceparent[36:52])
    assert published.attributes["messaging.destination.name"] == INTERACTIVE
    with broker.publisher() as publisher:
        body = tagged_answer(request, traceparent=request.traceparent, request_id=request.request_id)
        publisher.publish([Message(RESULTS, body)])
    record_all(broker)
    recorded = next(span for span in spans.get_finished_spans() if span.name == "record")
    assert (recorded.kind.name, recorded.parent.span_id) == ("CONSUMER", published.context.span_id)
    assert recorded.context.trace_id == published.context.trace_id == int(CALLER.split("-")[1], 16)
    assert recorded.attributes["vitrine.request_id"] == "visit-5"
    assert recorded.attributes["vitrine.job_id"] == job.pk


def test_who_does_not_trace_hands_the_trace_on(
    broker: PostgresTransport, upload: Callable[..., Asset]
) -> None:
    with tracing.span("upload", parent=CALLER):
        upload()
    publish(broker)
    assert [request.traceparent for request in requests(broker)] == [CALLER]
