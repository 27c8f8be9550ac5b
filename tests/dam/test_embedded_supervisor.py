from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from dam.embedded import logs, processes, supervisor
from dam.embedded.console import Teller
from dam.embedded.errors import EmbeddedError
from dam.embedded.logs import LogFile
from dam.embedded.processes import Program
from dam.embedded.supervisor import Child, Supervisor

WITHIN_S = 60.0


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def watcher(said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_S", 0.02)
    watcher = Supervisor(Teller(Console(file=said, soft_wrap=True)))
    yield watcher
    watcher.stop([])


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., Child]:
    """Makes a child that runs a few lines of Python."""

    def make(name: str, code: str, *, stop_within_s: float = 15.0) -> Child:
        program = Program([sys.executable, "-u", "-c", code], env=dict(os.environ), cwd=tmp_path)
        return Child(name, program, log=LogFile(tmp_path / f"{name}.log"), stop_within_s=stop_within_s)

    return make


FOREVER = "import signal\nprint('up')\nsignal.pause()"


def test_a_child_that_is_killed_is_started_again_and_that_is_said(
    watcher: Supervisor, child: Callable[..., Child], said: io.StringIO
) -> None:
    service = child("worker", FOREVER)
    watcher.start(service)
    first = service.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    watcher.wait_for(lambda: service.pid not in {None, first}, what="the restart", within_s=WITHIN_S)
    assert "worker ended (killed by SIGKILL); it is started again" in said.getvalue()
    assert str(service.log.path) in said.getvalue()


def test_a_child_that_keeps_ending_is_given_up_with_the_end_of_its_log(
    watcher: Supervisor, child: Callable[..., Child]
) -> None:
    service = child("relay", "import sys\nprint('no such table: jobs')\nsys.exit(3)")
    watcher.start(service)
    with pytest.raises(EmbeddedError) as given_up:
        watcher.wait_for(lambda: False, what="nothing", within_s=WITHIN_S)
    assert "relay ended (exit code 3), for the 5th time" in str(given_up.value)
    assert str(given_up.value).endswith("no such table: jobs")
    assert service.log.path.read_text().count("no such table") == supervisor.MOST_QUICK_ENDS


def test_ends_after_a_long_life_do_not_add_up(
    watcher: Supervisor, child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SETTLED_S", 0.0)
    service = child("relay", "raise SystemExit(0)")
    watcher.start(service)
    seven = supervisor.MOST_QUICK_ENDS + 2
    watcher.wait_for(
        lambda: watcher.tell._console.file.getvalue().count("relay ended") >= seven,  # type: ignore[attr-defined]
        what="seven ends",
        within_s=WITHIN_S,
    )


def test_what_takes_too_long_is_an_error_that_names_it(watcher: Supervisor) -> None:
    with pytest.raises(EmbeddedError, match="The model took longer than 0 seconds"):
        watcher.wait_for(lambda: False, what="The model", within_s=0.05)


def test_services_are_stopped_group_by_group_and_none_begins_before_the_last_group_has_ended(
    watcher: Supervisor, child: Callable[..., Child], tmp_path: Path
) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    note('asked')\n"
        "    time.sleep(0.3)\n"
        "    note('ended')\n"
        "    sys.exit()\n"
        "def note(what):\n"
        f"    print({{name!r}}, what, file=open({str(order)!r}, 'a'))\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('up')\n"
        "while True: signal.pause()"
    )
    services = [
        child(name, code.replace("{name!r}", repr(name))) for name in ("database", "worker", "web", "relay")
    ]
    for service in services:
        watcher.start(service)
    watcher.wait_for(
        lambda: all(one.log.last_line() == "up" for one in services), what="up", within_s=WITHIN_S
    )
    watcher.stop([["web", "relay"], ["worker"]])
    lines = order.read_text().splitlines()
    assert sorted(lines[:2]) == ["relay asked", "web asked"]
    assert sorted(lines[2:4]) == ["relay ended", "web ended"]
    assert lines[4:] == ["worker asked", "worker ended", "database asked", "database ended"]


def test_a_child_that_does_not_stop_is_killed_with_all_that_it_started(
    watcher: Supervisor, child: Callable[..., Child], said: io.StringIO
) -> None:
    code = (
        "import signal, subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen(['/bin/sleep', '600']).pid)\n"
        "while True: signal.pause()"
    )
    service = child("stubborn", code, stop_within_s=0.3)
    watcher.start(service)
    watcher.wait_for(lambda: service.log.last_line().isdecimal(), what="the grandchild", within_s=WITHIN_S)
    grandchild = int(service.log.last_line())
    pid = service.pid
    assert pid is not None
    watcher.stop([])
    assert not processes.is_alive(pid)
    deadline = time.monotonic() + WITHIN_S
    while processes.is_alive(grandchild):
        assert time.monotonic() < deadline
    assert "stubborn does not end by itself and is killed" in said.getvalue()


def test_what_a_child_started_does_not_outlive_it(watcher: Supervisor, child: Callable[..., Child]) -> None:
    code = "import subprocess\nprint(subprocess.Popen(['/bin/sleep', '600']).pid)"
    service = child("web", code)
    watcher.start(service)
    with pytest.raises(EmbeddedError):
        watcher.wait_for(lambda: False, what="nothing", within_s=WITHIN_S)
    grandchildren = [int(line) for line in service.log.path.read_text().split()]
    assert len(grandchildren) == supervisor.MOST_QUICK_ENDS
    deadline = time.monotonic() + WITHIN_S
    while any(processes.is_alive(pid) for pid in grandchildren):
        assert time.monotonic() < deadline


def test_a_child_hears_the_signals_that_a_shell_has_background_commands_ignore(tmp_path: Path) -> None:
    """``make run &`` in a script: everything below it would outlive a supervisor that is killed."""
    program = Program([sys.executable, "-c", "import time; time.sleep(600)"], os.environ, cwd=tmp_path)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        child = processes.spawn(program, subprocess.DEVNULL)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        # Once it is the command and no launcher any more.
        deadline = time.monotonic() + 60
        while processes.arguments(child.pid)[1:2] != ["-c"]:
            assert time.monotonic() < deadline, processes.arguments(child.pid)
            time.sleep(0.01)
        child.send_signal(signal.SIGQUIT)
        assert child.wait(timeout=60) == -signal.SIGQUIT
    finally:
        child.kill()
        child.wait()


def test_a_command_that_cannot_be_started_is_given_up_with_the_reason(
    watcher: Supervisor, tmp_path: Path
) -> None:
    log = LogFile(tmp_path / "missing.log")
    watcher.start(Child("missing", Program(["/no/such/program"], env={}), log=log))
    with pytest.raises(EmbeddedError, match="cannot start /no/such/program"):
        watcher.wait_for(lambda: False, what="nothing", within_s=WITHIN_S)


def test_a_log_is_cut_while_it_is_written_and_keeps_what_came_before_beside_it(
    watcher: Supervisor, child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 10_000)
    monkeypatch.setattr(supervisor, "_LIMIT_LOGS_EVERY_S", 0.0)
    code = "import time\nwhile True:\n    print('x' * 99)\n    time.sleep(0.001)"
    service = child("chatty", code)
    watcher.start(service)
    older = service.log.path.with_name("chatty.log.1")
    watcher.wait_for(older.exists, what="the first cut", within_s=WITHIN_S)
    watcher.wait_for(lambda: service.log.path.stat().st_size > 0, what="new lines", within_s=WITHIN_S)
    assert set(service.log.path.read_bytes()) == {ord("x"), ord("\n")}
    assert older.stat().st_size > 10_000


def test_the_last_line_of_a_log_is_never_that_of_an_earlier_run(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "migrate.log")
    with log.open() as output:
        output.write(b"earlier\n")
    assert log.last_line() == "earlier"
    with log.open() as output:
        assert log.last_line() == ""
        output.write(b"now\n\n")
    assert log.last_line() == "now"
    assert log.tail() == "earlier\nnow\n"


def test_the_process_ids_are_told_whenever_they_change(child: Callable[..., Child]) -> None:
    told: list[dict[str, int]] = []
    watcher = Supervisor(Teller(Console(file=io.StringIO())), on_change=told.append)
    service = child("web", FOREVER)
    watcher.start(service)
    assert told[-1] == {"web": service.pid}
    watcher.stop([])
    assert told[-1] == {}
