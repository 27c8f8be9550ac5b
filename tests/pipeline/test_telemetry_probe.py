"""``python -m pipeline.telemetry.probe`` asks the process beside it, for an orchestrator."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from pipeline.telemetry.health import Health, HealthServer

WITHIN_S = 60


def probe(port: int | str, *words: str, host: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.telemetry.probe", *words],
        env=os.environ | {"VITRINE_HEALTH_PORT": str(port), "VITRINE_HEALTH_HOST": host},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0.0.0.0",
        pytest.param("::", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
    ],
)
def test_a_process_that_is_ready_is_well_and_one_that_waits_says_what_for(host: str) -> None:
    health = Health(max_silence_s=WITHIN_S)
    with HealthServer(health, host, 0) as server:
        assert probe(server.port, host=host) == (1, "started: starting")
        assert probe(server.port, "/healthz", host=host) == (0, "")
        health.started()
        assert probe(server.port, host=host) == (0, "")


def test_what_is_down_is_said_and_is_no_reason_to_restart() -> None:
    health = Health(max_silence_s=WITHIN_S)
    health.started()
    health.outage("the broker does not answer")
    with HealthServer(health, "127.0.0.1", 0) as server:
        assert probe(server.port) == (1, "dependencies: the broker does not answer")
        assert probe(server.port, "/healthz") == (0, "")
        assert probe(server.port, "/elsewhere") == (1, "/elsewhere answers 404")


def test_a_process_that_hangs_is_told_by_its_silence() -> None:
    with HealthServer(Health(max_silence_s=-1), "127.0.0.1", 0) as server:
        code, said = probe(server.port, "/healthz")
    assert code == 1
    assert said.startswith("no progress for")


def test_nobody_there_and_nobody_who_speaks_http_are_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"who are you?\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert probe(port) == (1, f"no answer from port {port}: it speaks no HTTP")
        thread.join(WITHIN_S)
    code, said = probe(port)
    assert (code, said.startswith(f"no answer from port {port}: ")) == (1, True)
    for unset in ("", "0"):
        code, said = probe(unset)
        assert (code, said.startswith("VITRINE_HEALTH_PORT is not set")) == (1, True)
