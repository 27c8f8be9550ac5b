"""gunicorn with our configuration: one port tells of all workers, and every line has one form."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def serving(tmp_path: Path, *, database_port: int, **variables: str) -> Iterator[Pages]:
    """Two workers, as many as there are unless another number is asked for."""
    port, health = free_ports(2)
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    (numbers / "counter_1.db").write_bytes(b"of an earlier run")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "--config", "python:dam.gunicorn_conf"]
    command += ["--bind", f"127.0.0.1:{port}", "dam.wsgi:application"]
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://me:h1dden@127.0.0.1:{database_port}/nowhere",
        "VITRINE_BLOB_URL": str(tmp_path / "blobs"),
        "VITRINE_LOG_FORMAT": "json",
        "VITRINE_HEALTH_PORT": str(health),
        "PROMETHEUS_MULTIPROC_DIR": str(numbers),
        **variables,
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


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """Their database is away, and there is no home in which they might keep anything."""
    nowhere = {"VITRINE_HOME": "/proc/no-such-folder", "VITRINE_SECRET_KEY": "of these tests"}
    with serving(tmp_path, database_port=1, **nowhere) as pages:
        yield pages


def test_the_masters_port_tells_of_all_workers_and_goes_with_it(pages: Pages) -> None:
    pages.ask(20)
    assert requests.get(f"{pages.address}/metrics", timeout=WITHIN_S).status_code == 404
    assert "VITRINE_SECRET_KEY" not in pages.log.read_text()
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


def test_a_request_under_way_is_answered_when_they_are_asked_to_stop_and_nobody_idle_is_waited_for(
    tmp_path: Path,
) -> None:
    home = {"VITRINE_HOME": str(tmp_path / "home")}
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serving(tmp_path, database_port=silent.getsockname()[1], **home) as pages,
        requests.Session() as idle,
        ThreadPoolExecutor(1) as asking,
    ):
        # What a proxy does: the connection stays.
        assert idle.get(f"{pages.address}/healthz", timeout=WITHIN_S).ok
        answer = asking.submit(requests.get, f"{pages.address}/readyz", timeout=WITHIN_S)
        silent.settimeout(WITHIN_S)
        asked, _ = silent.accept()
        pages.process.terminate()
        wait_for(lambda: "Handling signal: term" in pages.log.read_text(), WITHIN_S, "its end to begin")
        silent.close()
        asked.close()
        before = time.monotonic()
        assert answer.result(WITHIN_S).status_code == 503
        assert pages.process.wait(WITHIN_S) == 0
        # Otherwise the idle one would hold it up for the 30 s that requests may take after SIGTERM.
        assert time.monotonic() - before < 25
    # Without a key from the environment each replica has its own, and sessions of one are none to the next.
    assert [line["level"] for line in pages.lines() if "VITRINE_SECRET_KEY" in str(line["event"])] == [
        "warning"
    ]
