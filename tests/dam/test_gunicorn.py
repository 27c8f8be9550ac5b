"""gunicorn with our configuration: one port tells of all workers, and every line has one form."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.plugins.ports import free_ports
from tests.plugins.processes import wait_for

WITHIN_S = 60
ANSWERED = "django_http_responses_total_by_status_view_method_total"


@dataclass
class Pages:
    process: subprocess.Popen[bytes]
    address: str
    health: str
    numbers: Path
    log: Path

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def metrics(self) -> dict[tuple[str, str], float]:
        """Name and view → value."""
        text = requests.get(f"{self.health}/metrics", timeout=WITHIN_S).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        assert all("pid" not in sample.labels for sample in samples)
        return {(sample.name, sample.labels.get("view", "")): sample.value for sample in samples}

    def ask(self, times: int) -> None:
        for _ in range(times):
            requests.get(f"{self.address}/healthz", timeout=WITHIN_S)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Two workers, whose database is away."""
    port, health = free_ports(2)
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    (numbers / "counter_1.db").write_bytes(b"of an earlier run")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "dam.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--config", "python:dam.gunicorn_conf", "--workers", "2", "--preload", "--no-control-socket"]
    environment = os.environ | {
        "DATABASE_URL": "postgresql://me:h1dden@127.0.0.1:1/nowhere",
        "VITRINE_HOME": str(tmp_path / "home"),
        "VITRINE_LOG_FORMAT": "json",
        "VITRINE_HEALTH_PORT": str(health),
        "PROMETHEUS_MULTIPROC_DIR": str(numbers),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    pages = Pages(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{health}", numbers, log)
    try:
        wait_for(lambda: log.read_text().count("Booting worker") == 2, WITHIN_S, "two workers")
        yield pages
    finally:
        process.kill()
        process.wait(WITHIN_S)


def test_the_masters_port_tells_of_all_workers_and_goes_with_it(pages: Pages) -> None:
    pages.ask(20)
    assert requests.get(f"{pages.address}/metrics", timeout=WITHIN_S).status_code == 404
    alive = requests.get(f"{pages.health}/healthz", timeout=WITHIN_S)
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})

    # A worker that is killed takes none of its numbers with it, and the next one adds to them.
    first = pages.workers()
    os.kill(first[0], signal.SIGKILL)
    wait_for(lambda: len(set(pages.workers()) - set(first)) == 1, WITHIN_S, "another worker")
    wait_for(lambda: pages.log.read_text().count("Booting worker") == 3, WITHIN_S, "its line")
    pages.ask(20)
    found = pages.metrics()
    assert found[ANSWERED, "healthz"] == 40
    assert found["django_http_requests_latency_seconds_by_view_method_count", "healthz"] == 40

    pages.process.terminate()
    assert pages.process.wait(WITHIN_S) == 0
    assert not pages.numbers.exists()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{pages.health}/healthz", timeout=WITHIN_S)


def test_pages_whose_database_is_away_are_not_ready_and_say_why(pages: Pages) -> None:
    answer = requests.get(f"{pages.health}/readyz", timeout=WITHIN_S)
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["workers"]["ok"]
    assert not checks["site"]["ok"]
    assert "database:" in checks["site"]["detail"]
    assert checks["site"]["why"]
    found = pages.metrics()
    assert found["vitrine_ready", ""] == 0
    assert found["django_db_new_connection_errors_total", ""] >= 1

    assert requests.get(f"{pages.address}/sign-in/", timeout=WITHIN_S, params={"next": "wedding"}).ok
    requests.get(f"{pages.address}/api/v1/assets/", headers={"Authorization": "Bearer abc"}, timeout=WITHIN_S)
    lines = pages.lines()
    assert {line["service"] for line in lines} == {"web"}
    told = [(line["path"], line["status"]) for line in lines if line["event"] == "request"]
    assert ("/sign-in/", 200) in told
    assert ("/api/v1/assets/", 503) in told
    assert "h1dden" not in pages.log.read_text()
    assert "wedding" not in pages.log.read_text()
