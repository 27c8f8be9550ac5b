"""Starting, stopping and finding one's data again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import requests

from tests.plugins.photos import write_photos
from tests.plugins.system import System, _runs, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]


def nothing_is_left(pids: set[int]) -> None:
    wait_for(lambda: not any(_runs(pid) for pid in pids), within_s=60, what=lambda: "processes left over")


def test_a_system_beside_another_leaves_no_process_when_it_is_stopped_or_killed_and_finds_its_data_again(
    system: System, own_system: System
) -> None:
    own_system.start()
    assert own_system.address != system.address
    for each in (system, own_system):
        assert requests.get(f"{each.address}/readyz", timeout=10).status_code == 200
    folder = own_system.home.parent / "pictures"
    write_photos(folder, 5)
    own_system.cli("import", str(folder), "--wait")
    before = own_system.ledger()
    assert before["tagged"] == 5
    pids = own_system.pids()
    assert len(pids) > 6

    assert own_system.stop() == 0
    nothing_is_left(pids)

    own_system.start()
    assert own_system.ledger() == before
    assert own_system.api().get(f"{own_system.address}/api/v1/assets/").json()["results"]
    pids = own_system.pids()

    own_system.kill_supervisor()
    nothing_is_left(pids)

    own_system.start()
    assert own_system.ledger() == before


def test_the_doctor_finds_nothing_broken_in_a_running_system(system: System) -> None:
    answer = system.cli("doctor", "--json", check=False)
    report = json.loads(answer.stdout)
    broken = [check for check in report["checks"] if check["status"] == "failure"]
    assert not broken
    assert answer.returncode == 0, answer.stderr
    looked_at = {check["area"] for check in report["checks"] if check["status"] == "ok"}
    assert {"Database", "Queues", "Blob store", "Servers"} <= looked_at


def test_a_second_system_on_the_same_home_refuses_clearly(system: System) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "dam.embedded"],
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    assert requests.get(f"{system.address}/healthz", timeout=10).status_code == 200


def test_a_command_beside_no_running_system_says_so_in_one_line(own_system: System) -> None:
    answer = own_system.cli("ledger", check=False)
    assert answer.returncode == 1
    assert "make run" in answer.stderr
    assert "Traceback" not in answer.stderr
