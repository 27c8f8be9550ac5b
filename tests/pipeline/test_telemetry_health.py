"""What a process answers about itself over HTTP."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from pipeline.telemetry.health import Health, HealthServer, serve_health
from pipeline.telemetry.settings import ProcessSettings


def answer(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def told(server: HealthServer, path: str) -> tuple[int, Any]:
    status, body = answer(server, path)
    return status, json.loads(body)


def test_the_probes_tell_the_state_and_what_is_checked_and_why() -> None:
    health = Health(max_silence_s=60)
    with HealthServer(health, "127.0.0.1", 0) as server:
        assert told(server, "/healthz") == (200, {"status": "ok"})
        status, body = told(server, "/readyz")
        assert (status, body["ready"], body["checks"]["started"]["ok"]) == (503, False, False)

        health.started()
        status, body = told(server, "/readyz")
        assert (status, body["ready"]) == (200, True)
        assert {name: check["ok"] for name, check in body["checks"].items()} == {
            "progress": True,
            "started": True,
            "dependencies": True,
        }
        assert all(check["why"] for check in body["checks"].values())

        health.outage("model: away")
        status, body = told(server, "/readyz?verbose=1")
        assert (status, body["checks"]["dependencies"]["detail"]) == (503, "model: away")
        assert told(server, "/healthz")[0] == 200, "an outage is no reason for a restart"

        health.outage_over()
        assert told(server, "/readyz")[0] == 200
        assert answer(server, "/elsewhere")[0] == 404


def test_a_process_that_hangs_says_so() -> None:
    with HealthServer(Health(max_silence_s=0), "127.0.0.1", 0) as server:
        status, body = told(server, "/healthz")
        assert status == 503
        assert body["status"].startswith("no progress for")


def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("vitrine_things", "Counted here.", ["kind"], registry=registry).labels("odd").inc(3)
    with HealthServer(Health(max_silence_s=60), "127.0.0.1", 0, registry=registry) as server:
        status, body = answer(server, "/metrics")

    (family,) = [one for one in text_string_to_metric_families(body) if one.name == "vitrine_things"]
    sample = next(one for one in family.samples if one.name == "vitrine_things_total")
    assert (status, sample.labels, sample.value) == (200, {"kind": "odd"}, 3)


def test_readiness_is_a_metric_too() -> None:
    health = Health(max_silence_s=60)
    with HealthServer(health, "127.0.0.1", 0) as server:
        health.started()
        assert "\nvitrine_ready 1.0\n" in answer(server, "/metrics")[1]
        health.outage("away")
        assert "\nvitrine_ready 0.0\n" in answer(server, "/metrics")[1]


def test_whoever_connects_and_says_nothing_holds_up_nobody() -> None:
    with (
        HealthServer(Health(max_silence_s=60), "127.0.0.1", 0) as server,
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        assert told(server, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_told() -> None:
    with HealthServer(Health(max_silence_s=60), "127.0.0.1", 0) as server:
        settings = ProcessSettings(health_port=server.port)
        with pytest.raises(OSError, match="in use"):
            serve_health(Health(max_silence_s=60), settings)


def test_a_process_without_progress_counts_as_hung() -> None:
    health = Health(max_silence_s=0.05)
    time.sleep(0.1)
    assert health.liveness().startswith("no progress")

    health.beat()

    assert health.liveness() == ""


def test_a_beat_touches_the_file(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    health = Health(max_silence_s=60, heartbeat_file=file)

    health.beat()

    assert file.exists()
