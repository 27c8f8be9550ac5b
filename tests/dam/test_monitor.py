"""The monitor: its threads, what it serves, what it does while something is down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import psycopg
import pytest
from django.db import OperationalError, connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo
from structlog.testing import capture_logs

from dam.monitoring import metrics, monitor
from dam.monitoring.metrics import Sample
from dam.monitoring.parts import Part, parts_of
from dam.monitoring.readings import Readings
from dam.monitoring.settings import MonitorSettings
from pipeline.ports import Message, TransportDownError
from pipeline.postgres_queue import PostgresTransport
from pipeline.telemetry.health import Health
from pipeline.topology import BULK, QUEUES
from tests.dam.factories import AssetFactory
from tests.plugins.ports import free_ports
from tests.plugins.processes import stopped, wait_for

SOON = 60.0


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


class Source:
    """Something to be read that can be made to fail or to hang."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.reads = 0

    def __call__(self) -> Iterator[Sample]:
        self.reads += 1
        self.answers.wait()
        if self.error is not None:
            raise self.error
        yield metrics.BROKER_UP.of(1)
        yield metrics.QUEUE_CONSUMERS.of(self.reads, BULK)


@contextmanager
def monitoring(parts: Sequence[Part], health: Health | None = None) -> Iterator[CollectorRegistry]:
    """The loop over these parts, in a thread."""
    registry, stop = CollectorRegistry(), threading.Event()
    health = health or Health(max_silence_s=60)
    thread = threading.Thread(
        target=monitor.run, args=(stop, health, parts), kwargs={"registry": registry}, daemon=True
    )
    thread.start()
    try:
        yield registry
    finally:
        stop.set()
        thread.join(SOON)
        assert not thread.is_alive()


# ----------------------------------------------------------------- readings


def test_a_reading_that_is_not_renewed_vanishes_and_the_time_of_the_last_one_stays() -> None:
    registry, readings = CollectorRegistry(), Readings()
    registry.register(readings)
    before = time.time()
    readings.renew("places", [metrics.DISK_FREE.of(7, "home")], good_for_s=60)
    assert value(registry, "vitrine_disk_free_bytes", place="home") == 7
    readings.renew("places", [metrics.DISK_FREE.of(7, "home")], good_for_s=0)
    assert value(registry, "vitrine_disk_free_bytes", place="home") is None
    success = value(registry, "vitrine_monitor_last_success_timestamp_seconds", part="places")
    assert success is not None
    assert before <= success <= time.time()
    assert value(registry, "vitrine_build_info", version=version("vitrine")) == 1


def test_what_does_not_answer_is_0_at_once_and_what_was_read_before_stays_for_a_while() -> None:
    registry, readings = CollectorRegistry(), Readings()
    registry.register(readings)
    readings.renew("queues", [metrics.BROKER_UP.of(1), metrics.QUEUE_CONSUMERS.of(2, BULK)], good_for_s=60)
    readings.miss("queues", [metrics.BROKER_UP.of(0)])
    assert value(registry, "vitrine_broker_up") == 0
    assert value(registry, "vitrine_queue_consumers", queue=BULK) == 2
    readings.renew("queues", [metrics.BROKER_UP.of(1)], good_for_s=60)
    assert value(registry, "vitrine_broker_up") == 1
    assert value(registry, "vitrine_queue_consumers", queue=BULK) is None


def test_samples_of_one_metric_from_several_parts_are_written_together() -> None:
    registry, readings = CollectorRegistry(), Readings()
    registry.register(readings)
    readings.renew("state", [metrics.JOBS.of(1, "live", "queued")], good_for_s=60)
    readings.renew("ledger", [metrics.JOBS.of(2, "live", "done")], good_for_s=60)
    assert generate_latest(registry).count(b"# TYPE vitrine_jobs gauge") == 1
    assert value(registry, "vitrine_jobs", purpose="live", state="done") == 2


def test_a_sample_with_other_labels_than_its_metric_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="vitrine_jobs has the labels"):
        metrics.JOBS.of(1, "live")


# --------------------------------------------------------------------- loop


@pytest.mark.django_db(transaction=True)
def test_a_part_that_hangs_holds_up_no_other_and_an_outage_is_waited_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "BEAT_S", 0.05)
    hanging, working, health = Source(), Source(), Health(max_silence_s=60)
    parts = (
        Part("places", 0.02, lambda: (one for one in hanging() if one.metric is not metrics.BROKER_UP)),
        Part("queues", 0.02, working, (metrics.BROKER_UP.of(0),)),
    )
    with capture_logs() as lines, monitoring(parts, health) as registry:
        wait_for(lambda: health.readiness() == "", SOON, "both are read")
        hanging.answers.clear()
        reads = working.reads
        wait_for(lambda: working.reads > reads + 3, SOON, "the other goes on")

        for error in (TransportDownError("no answer"), OperationalError("gone"), ZeroDivisionError("ours")):
            working.error = error
            wait_for(lambda: "queues" in health.readiness(), SOON, "the trouble is told")
            wait_for(lambda: value(registry, "vitrine_queue_consumers", queue=BULK) is None, SOON, "stale")
            assert value(registry, "vitrine_broker_up") == (
                None if isinstance(error, ZeroDivisionError) else 0
            )
            assert health.liveness() == ""
            working.error = None
            wait_for(lambda: health.readiness() == "", SOON, "it is back")
            wait_for(lambda: value(registry, "vitrine_broker_up") == 1, SOON, "it is served")
        hanging.answers.set()
    said = {(line["event"], line.get("reason")) for line in lines}
    assert {
        ("part cannot be read", "no answer"),
        ("part cannot be read", "gone"),
        ("part failed", None),
    } <= said


@pytest.mark.django_db(transaction=True)
def test_a_part_that_never_comes_back_makes_the_process_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "BEAT_S", 0.05)
    monkeypatch.setattr(monitor, "HUNG_AFTER_S", 0.2)
    hanging, health = Source(), Health(max_silence_s=1.5)
    with monitoring([Part("queues", 0.02, hanging)], health):
        wait_for(lambda: health.readiness() == "", SOON, "it is read")
        hanging.answers.clear()
        wait_for(lambda: "no progress" in health.liveness(), SOON, "it is told as hung")
        assert health.readiness() == "queues: does not come back"
        hanging.answers.set()
        wait_for(lambda: health.liveness() == health.readiness() == "", SOON, "it is back")


def test_a_part_that_takes_long_is_read_less_often() -> None:
    def slow() -> Iterator[Sample]:
        time.sleep(0.2)
        yield metrics.BROKER_UP.of(1)

    loop = monitor.PartLoop(Part("ledger", 1.0, slow), Readings(), threading.Event())
    assert 1.8 <= loop.look() < 20
    assert loop.trouble is None


# ------------------------------------------------------------------ process


@pytest.fixture
def environment(database_url: str, broker: PostgresTransport, settings: object) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": make_conninfo(database_url, dbname=connection.settings_dict["NAME"]),
        "VITRINE_QUEUE_URL": settings.QUEUE_URL,  # type: ignore[attr-defined]
        "VITRINE_HEALTH_PORT": str(free_ports(1)[0]),
        "VITRINE_LOG_FORMAT": "json",
        "VITRINE_MONITOR_EVERY_S": "0.2",
    }


def get(environment: dict[str, str], path: str) -> tuple[int, str]:
    try:
        address = f"http://127.0.0.1:{environment['VITRINE_HEALTH_PORT']}{path}"
        with urllib.request.urlopen(address, timeout=SOON) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.django_db(transaction=True)
def test_the_process_serves_the_state_of_catalogue_and_broker_until_it_is_asked_to_stop(
    environment: dict[str, str], broker: PostgresTransport
) -> None:
    AssetFactory.create_batch(2)
    with broker.publisher() as publisher:
        publisher.publish([Message(BULK, b"body", str(number)) for number in range(3)])
    process = subprocess.Popen(
        [sys.executable, "-m", "dam.cli", "monitor"], env=environment, stderr=subprocess.PIPE
    )
    with process, stopped(process):
        with broker.consumer([BULK]) as consumer:
            consumer.receive(limit=1, wait_s=SOON)
            wait_for(lambda: get(environment, "/readyz")[0] == 200, SOON, "it is ready")
            found = samples(get(environment, "/metrics")[1])
            assert found["vitrine_assets", ("tagged",)] == 2
            assert found["vitrine_assets", ("pending",)] == 0
            assert found["vitrine_queue_messages", (BULK, "ready")] == 2
            assert found["vitrine_queue_messages", (BULK, "held")] == 1
            assert found["vitrine_queue_consumers", (BULK,)] == 1
            assert found["vitrine_broker_up", ()] == found["vitrine_database_up", ()] == 1
            assert found["vitrine_blob_store_up", ()] == found["vitrine_ready", ()] == 1
            # Two tagged pictures without an answer of any model.
            assert found["vitrine_ledger_agrees", ()] == 0
            assert found["vitrine_ledger_exceptions", ("unproven",)] == 2
            assert found["vitrine_dead_letters", (QUEUES[0].dead_letters,)] == 0
            assert get(environment, "/healthz")[0] == 200

        with psycopg.connect(environment["VITRINE_QUEUE_URL"], autocommit=True) as other:
            other.execute("DROP SCHEMA queue CASCADE")
        wait_for(lambda: samples(get(environment, "/metrics")[1])["vitrine_broker_up", ()] == 0, SOON, "down")
        wait_for(lambda: get(environment, "/readyz")[0] == 503, SOON, "it tells so")
        broker.declare()
        wait_for(lambda: get(environment, "/readyz")[0] == 200, SOON, "it is ready again")

        process.terminate()
        _, said = process.communicate(timeout=SOON)
    assert process.returncode == 0
    lines = [json.loads(line) for line in said.decode().splitlines()]
    assert {line["service"] for line in lines} == {"monitor"}
    assert "monitoring" in {line["event"] for line in lines}


def test_certificates_are_a_part_only_if_endpoints_are_named() -> None:
    without = [part.name for part in parts_of(MonitorSettings())]
    assert without == ["state", "queues", "ledger", "blobs", "places", "integrity", "quality"]
    named = parts_of(MonitorSettings(monitor_certificates="localhost:1"))
    assert [part.name for part in named] == [*without, "certificates"]
