from __future__ import annotations

import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pipeline.ports import DependencyDownError, IncompatibleModelError
from workers.health import Health, HealthServer
from workers.patience import GaveUpError, Patience, Shutdown


def answer(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_probes_tell_the_state_over_http() -> None:
    health = Health(max_silence_s=60)
    with HealthServer(health, "127.0.0.1", 0) as server:
        assert answer(server, "/healthz") == (200, "ok\n")
        assert answer(server, "/readyz") == (503, "starting\n")
        health.started()
        assert answer(server, "/readyz") == (200, "ok\n")
        health.outage("model: away")
        assert answer(server, "/readyz") == (503, "model: away\n")
        health.outage_over()
        assert answer(server, "/readyz") == (200, "ok\n")
        assert answer(server, "/elsewhere")[0] == 404


def test_a_worker_without_progress_counts_as_hung() -> None:
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


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown(deadline_s=0.3)


def failing(times: int, error: Exception):
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "answer"

    return attempt


def test_patience_tries_until_the_dependency_answers(shutdown: Shutdown) -> None:
    health = Health(max_silence_s=60)

    health.started()

    assert Patience(shutdown, health).persist("store", failing(2, DependencyDownError("away"))) == "answer"

    assert health.readiness() == ""


def test_patience_beats_while_it_waits(shutdown: Shutdown, tmp_path: Path) -> None:
    health = Health(max_silence_s=0.5)
    troubles = []

    def attempt() -> None:
        troubles.append(health.liveness())
        if len(troubles) < 4:
            raise DependencyDownError("away")

    Patience(shutdown, health).persist("store", attempt)

    assert troubles == [""] * 4


def test_patience_ends_when_the_time_to_finish_is_over(shutdown: Shutdown) -> None:
    shutdown.ask()
    began = time.monotonic()

    with pytest.raises(GaveUpError, match="store"):
        Patience(shutdown, Health(max_silence_s=60)).persist(
            "store", failing(10**6, DependencyDownError("away"))
        )

    assert 0.3 <= time.monotonic() - began < 10


def test_an_error_that_is_no_outage_is_not_waited_out(shutdown: Shutdown) -> None:
    with pytest.raises(ZeroDivisionError):
        Patience(shutdown, Health(max_silence_s=60)).persist("store", failing(1, ZeroDivisionError()))


def test_a_failure_may_end_the_waiting(shutdown: Shutdown) -> None:
    def enough(error: Exception) -> None:
        raise LookupError from error

    with pytest.raises(LookupError):
        Patience(shutdown, Health(max_silence_s=60)).persist(
            "answer", failing(1, IncompatibleModelError("no")), on_failure=enough
        )
