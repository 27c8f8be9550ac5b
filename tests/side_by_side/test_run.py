"""Two runs of pytest at the same time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dam.embedded import processes
from tests.plugins import ports
from tests.plugins.processes import wait_for
from tests.side_by_side.report import progress, read_report
from tests.side_by_side.run import INTERRUPTED, side_by_side

SOON = 60.0
RUNS = {"first": ["test_a.py"], "second": ["test_b.py"]}

FAILING = """
import pytest

def test_that_is_true(): pass
@pytest.mark.parametrize("wanted", [1, 2])
def test_that_is_wrong(wanted): assert wanted == 1
def test_that_is_skipped(): pytest.skip("not today")
"""
WAITING = """
import pathlib, subprocess, time, pytest

@pytest.fixture(scope="session")
def service():
    yield
    pathlib.Path("stopped").touch()

def test_that_waits(service):
    sleeper = subprocess.Popen(["sleep", "600"], start_new_session=True)
    pathlib.Path("pid").write_text(str(sleeper.pid))
    sleeper.wait()
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose tests need nothing of this one."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_a.py").write_text("def test_of_the_first(): pass\n")
    (tmp_path / "test_b.py").write_text("def test_of_the_second(): pass\n")
    return tmp_path


def run(root: Path) -> tuple[int, str]:
    said: list[str] = []
    code = side_by_side(RUNS, root=root, work=root / "build", tell=said.append)
    return code, "\n".join(said)


def test_both_runs_are_told_whole_and_summed_up(root: Path) -> None:
    code, said = run(root)
    assert code == 0
    assert "test_a.py ." in said
    assert "test_b.py ." in said
    assert "2 passed in 0:" in said.splitlines()[-1]


def test_what_failed_in_either_is_told_at_the_end_and_decides(root: Path) -> None:
    (root / "test_b.py").write_text(FAILING)
    code, said = run(root)
    assert code == 1
    summary = said.splitlines()[-2:]
    assert summary[0] == "FAILED test_b.py::test_that_is_wrong[2] - assert 2 == 1"
    assert summary[1].startswith("1 failed, 3 passed, 1 skipped in 0:")
    report = read_report(root / "build" / "second.xml")
    assert set(report.seconds) == {"test_b.py"}
    assert progress((root / "build" / "second.out").read_text()) == (100, 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("import os\ndef test_a(): os._exit(0)", "FAILED the first run - ended with 0"),
        ("import nowhere", "test_a - collection failure"),
        ("", ""),
    ],
    ids=["crash", "import error", "no tests"],
)
def test_a_run_that_cannot_run_its_tests_is_a_failure(root: Path, content: str, told: str) -> None:
    (root / "test_a.py").write_text(content)
    code, said = run(root)
    assert code == 1
    assert told in said


def test_ctrl_c_stops_both_with_their_services_and_leaves_no_process(root: Path) -> None:
    (root / "test_a.py").write_text(WAITING)
    program = (
        "import json, pathlib, sys; from tests.side_by_side.run import side_by_side;"
        "sys.exit(side_by_side(json.loads(sys.argv[1]), root=pathlib.Path.cwd(), work=pathlib.Path('build'),"
        " tell=print))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(RUNS)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        wait_for((root / "pid").exists, SOON, "a test that waits")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=SOON)
    assert process.returncode == INTERRUPTED
    assert "KeyboardInterrupt" in said
    assert (root / "stopped").exists()
    sleeper = int((root / "pid").read_text())
    wait_for(lambda: not processes.is_alive(sleeper), SOON, "the end of what the test started")


def test_runs_have_no_port_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for share in ports.shares(2):
        monkeypatch.setenv(ports.SHARE, share)
        found.append(range(*(int(end) for end in share.split("-"))))
        assert set(ports.free_ports(20)) <= {*found[-1], found[-1].stop}
    assert found[0].stop < found[1].start
