"""In a cluster processes start in any order: each lives, says what it waits for, and goes on then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from dam.embedded.state import ROOT
from tests.plugins.ports import free_ports
from tests.plugins.processes import asked, wait_for

WITHIN_S = 120
LOOPS = {"relay": "relay", "writer": "write_results", "monitor": "monitor"}
NO_HOME = "/proc/no-such-folder"
"""Nobody may write there, root no more than others: everything that is kept has another place."""


@dataclass
class Loop:
    name: str
    process: subprocess.Popen[bytes]
    health: str
    log: Path

    def asked(self, path: str) -> tuple[int, str]:
        """Status, or 0 if it does not answer yet, and what it says."""
        answer = asked(f"{self.health}{path}")
        return (0, "") if answer is None else (answer.status_code, answer.text)

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def loops(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Loop]]:
    """Relay, writer and monitor on the database that the test names."""
    url = request.param or request.getfixturevalue("scratch_database_url")
    (tmp_path / "blobs" / "incoming").mkdir(parents=True)
    environment = os.environ | {
        "DATABASE_URL": url,
        "VITRINE_BLOB_URL": str(tmp_path / "blobs"),
        "VITRINE_HOME": NO_HOME,
        "VITRINE_LOG_FORMAT": "json",
        **{f"VITRINE_MONITOR_{part}EVERY_S": "0.5" for part in ("", "LEDGER_", "PLACES_", "QUALITY_")},
        "VITRINE_SECRET_KEY": "that of these tests",
    }
    with ExitStack() as stack:
        started = []
        for (name, command), port in zip(LOOPS.items(), free_ports(len(LOOPS)), strict=True):
            log = tmp_path / f"{name}.log"
            process = subprocess.Popen(
                [sys.executable, "-m", "dam.cli", command],
                cwd=ROOT,
                env=environment | {"VITRINE_HEALTH_PORT": str(port)},
                stdout=subprocess.DEVNULL,
                stderr=stack.enter_context(log.open("wb")),
            )
            stack.callback(process.wait, WITHIN_S)
            stack.callback(process.kill)
            started.append(Loop(name, process, f"http://127.0.0.1:{port}", log))
        yield started


def alive_and_waiting(loop: Loop, reason: str) -> bool:
    alive, _ = loop.asked("/healthz")
    ready, said = loop.asked("/readyz")
    return alive == 200 and ready == 503 and reason in said


@pytest.mark.parametrize("loops", [None], indirect=True)
def test_before_the_migrations_they_live_and_are_not_ready_and_after_them_they_are(
    loops: list[Loop], scratch_database_url: str
) -> None:
    for loop in loops:
        wait_for(lambda loop=loop: alive_and_waiting(loop, "`vitrine migrate`"), WITHIN_S, loop.name)  # type: ignore[misc]
    migrated = subprocess.run(
        [sys.executable, "-m", "dam.cli", "migrate"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": scratch_database_url},
        capture_output=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert migrated.returncode == 0, migrated.stderr
    for loop in loops:
        wait_for(lambda loop=loop: loop.asked("/readyz")[0] == 200, WITHIN_S, loop.name)  # type: ignore[misc]
        assert loop.process.poll() is None
        assert "Traceback" not in loop.log.read_text()
    waited = {loop.name: {line["event"] for line in loop.lines()} for loop in loops}
    assert "relay waits" in waited["relay"]
    assert "writer waits" in waited["writer"]
    assert "part cannot be read" in waited["monitor"]


@pytest.mark.parametrize("loops", ["postgresql://me:hush@127.0.0.1:1/nowhere"], indirect=True)
def test_while_the_database_is_away_they_live_and_end_when_they_are_asked_to(loops: list[Loop]) -> None:
    for loop in loops:
        wait_for(lambda loop=loop: alive_and_waiting(loop, "Connection refused"), WITHIN_S, loop.name)  # type: ignore[misc]
    for loop in loops:
        loop.process.terminate()
    for loop in loops:
        assert loop.process.wait(WITHIN_S) == 0, loop.log.read_text()
        said = loop.log.read_text()
        assert "Traceback" not in said
        assert "hush" not in said
