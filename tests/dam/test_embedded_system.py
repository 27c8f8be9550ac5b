"""The supervisor as a process, with stand-ins for everything but the database."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dam.embedded import processes, system
from dam.embedded.scraping import targets_file
from dam.embedded.state import ROOT, read_state

FAKES = Path(__file__).with_name("embedded_with_fakes.py")
WITHIN_S = 90.0


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


class Running:
    """A supervisor with stand-ins."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VITRINE_", "DATABASE_"))
        }
        # Most tests need no database; the stand-ins do not use it.
        settings = {"DATABASE_URL": "postgresql://elsewhere/", "VITRINE_HOME": str(home), **variables}
        self._output = os.memfd_create("said")
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(FAKES)],
            env={
                **kept,
                "PYTHONPATH": str(ROOT),
                **{name: value for name, value in settings.items() if value},
            },
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def said(self) -> str:
        return os.pread(self._output, 1_000_000, 0).decode()

    def until_said(self, text: str) -> str:
        wait_until(lambda: text in self.said or self.process.poll() is not None, lambda: self.said)
        assert text in self.said
        return self.said

    def until_up(self) -> str:
        return self.until_said("Ctrl-C stops it")

    def events(self) -> list[str]:
        return (self.home / "events").read_text().splitlines()

    def processes(self) -> list[int]:
        mark = str(self.home)
        return processes.running(lambda pid: processes.environment_has(pid, system.MARK, mark))

    def end(self) -> int:
        """Wait for its end; nothing that it started may be left then."""
        code = self.process.wait(timeout=WITHIN_S)
        assert self.processes() == []
        assert "Traceback" not in self.said
        return code

    def close(self) -> None:
        with self.process as process:
            process.kill()
        os.close(self._output)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vitrine-sup-") as folder:
        yield Path(folder).resolve()


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(**variables: str) -> Running:
        started.append(Running(home, **variables))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture
def model(home: Path) -> None:
    """A model is there already."""
    (home / "models" / "tagger" / "1").mkdir(parents=True)
    (home / "models" / "tagger" / "1" / "saved_model.pb").touch()


def test_the_first_start_makes_database_and_model_says_where_it_is_and_stops_cleanly(
    home: Path, start: Callable[..., Running]
) -> None:
    running = start(DATABASE_URL="")
    said = running.until_up()
    for step in (
        "Creating the database",
        "tables",
        "Building the default model",
        "Reading the tags of model 1",
    ):
        assert re.search(rf"✓ .*{step}.* \(\d+\.\d s\)", said)
    state = read_state(home)
    assert state["address"] == f"http://127.0.0.1:{state['port']}"
    assert f"Vitrine runs at {state['address']}\n" in said
    assert f"{state['address']}/sign-in/link/once" in said
    assert set(state["pids"]) == {
        "postgres",
        "model server",
        "web",
        "relay",
        "results writer",
        "worker",
        "controller",
        "monitor",
    }
    assert state["pid"] == running.process.pid
    scraped = {
        target["labels"]["service"]: target["targets"]
        for target in json.loads(targets_file(home).read_text(encoding="utf-8"))
    }
    ports = state["health_ports"]
    assert set(ports) == {"web", "relay", "writer", "worker", "model-server", "controller", "monitor"}
    assert len(set(ports.values())) == len(ports)
    # The model server's numbers are where TensorFlow Serving has them.
    rest = state["model_server_rest"].removeprefix("http://")
    assert scraped == {name: [f"127.0.0.1:{port}"] for name, port in ports.items()} | {"model-server": [rest]}
    assert re.fullmatch(r"127\.0\.0\.1:\d+", state["model_servers"])

    started = {"controller starts", "monitor starts"}
    wait_until(lambda: started <= set(running.events()), running.events)
    postgres = state["pids"]["postgres"]
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert not processes.is_alive(postgres)
    stops = [line for line in running.events() if line.endswith(" stops")]
    assert set(stops[:2]) == {"controller stops", "monitor stops"}
    assert set(stops[2:4]) == {"gunicorn stops", "relay stops"}
    assert stops[4:] == ["workers stops", "write_results stops", "serve stops"]
    assert set(read_state(home)) == {"database_url", "socket_folder"}
    assert not targets_file(home).exists()


@pytest.mark.usefixtures("model")
def test_a_second_start_builds_no_model(start: Callable[..., Running]) -> None:
    assert "Building" not in start().until_up()


@pytest.mark.usefixtures("model")
def test_the_model_server_starts_while_the_database_is_still_being_prepared(
    start: Callable[..., Running],
) -> None:
    running = start(FAKE_MIGRATE="endless")
    wait_until(
        lambda: (running.home / "events").exists() and "serve starts" in running.events(),
        lambda: running.said,
    )
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0


@pytest.mark.usefixtures("model")
def test_a_second_system_on_the_home_says_who_runs_there_and_harms_nothing(
    home: Path, start: Callable[..., Running]
) -> None:
    first = start()
    first.until_up()
    before = first.processes()
    second = start()
    assert second.process.wait(timeout=WITHIN_S) == 1
    said = second.said
    assert "already runs on this folder" in said
    assert f"process {first.process.pid}, {read_state(home)['address']}" in said
    assert "Traceback" not in said
    assert sorted(first.processes()) == sorted(before)


@pytest.mark.usefixtures("model")
def test_nothing_outlives_a_killed_supervisor_and_the_next_start_is_clean(
    home: Path, start: Callable[..., Running]
) -> None:
    first = start(DATABASE_URL="")
    first.until_up()
    pids = read_state(home)["pids"]
    first.process.kill()
    wait_until(
        lambda: not any(map(processes.is_alive, pids.values())),
        lambda: f"alive: {[name for name, pid in pids.items() if processes.is_alive(pid)]}",
    )
    second = start(DATABASE_URL="")
    second.until_up()
    second.process.send_signal(signal.SIGTERM)
    assert second.end() == 0


@pytest.mark.usefixtures("model")
def test_what_an_earlier_run_left_behind_is_ended_before_the_start(
    home: Path, start: Callable[..., Running]
) -> None:
    with subprocess.Popen(["/bin/sleep", "600"], env={system.MARK: str(home)}) as leftover:
        start().until_up()
        assert leftover.wait(timeout=WITHIN_S) == -signal.SIGKILL


@pytest.mark.usefixtures("model")
def test_a_port_that_was_asked_for_and_is_taken_is_refused_before_anything_starts(
    home: Path, start: Callable[..., Running]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = start(VITRINE_PORT=str(port))
        assert running.end() == 1
    assert f"Port {port} is taken by another program. Set VITRINE_PORT" in running.said
    assert not (home / "events").exists()


@pytest.mark.usefixtures("model")
def test_a_free_port_is_chosen_and_said_when_the_usual_one_is_taken(
    home: Path, start: Callable[..., Running]
) -> None:
    with system._listen(system.DEFAULT_PORT) or socket.socket():
        said = start().until_up()
    port = read_state(home)["port"]
    assert port != system.DEFAULT_PORT
    assert f"Port {system.DEFAULT_PORT} is taken, so this one is {port}" in said


@pytest.mark.parametrize("port", ["web", "70000", "-1"])
def test_a_port_that_is_none_is_refused(start: Callable[..., Running], port: str) -> None:
    running = start(VITRINE_PORT=port)
    assert running.end() == 1
    assert f"VITRINE_PORT is '{port}', which is no port number" in running.said


@pytest.mark.usefixtures("model")
def test_a_step_that_fails_ends_the_start_with_the_end_of_its_log(start: Callable[..., Running]) -> None:
    running = start(FAKE_MIGRATE="fail")
    assert running.end() == 1
    assert "tables up to date failed (exit code 1)" in running.said
    assert "migrate cannot do this" in running.said


@pytest.mark.usefixtures("model")
def test_a_process_that_keeps_dying_ends_the_system_with_the_end_of_its_log(
    start: Callable[..., Running],
) -> None:
    running = start(FAKE_WORKERS="fail")
    assert running.end() == 1
    assert "worker ended (exit code 1); it is started again" in running.said
    assert "worker ended (exit code 1), for the 5th time" in running.said
    assert "workers cannot do this" in running.said


def test_a_stop_while_the_model_is_built_ends_that_too(start: Callable[..., Running]) -> None:
    running = start(**{"FAKE_BUILD-DEFAULT": "endless"})
    running.until_said("tables up to date (")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0


@pytest.mark.usefixtures("model")
def test_a_second_ctrl_c_does_not_wait_for_what_does_not_stop(start: Callable[..., Running]) -> None:
    running = start(FAKE_WORKERS="stubborn")
    running.until_up()
    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: "relay stops" in running.events(), lambda: running.said)
    before = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert time.monotonic() - before < 20
    assert "worker does not end by itself and is killed" in running.said


@pytest.mark.usefixtures("model")
def test_a_database_that_dies_is_started_again(home: Path, start: Callable[..., Running]) -> None:
    running = start(DATABASE_URL="")
    running.until_up()
    first = read_state(home)["pids"]["postgres"]
    os.kill(first, signal.SIGKILL)
    running.until_said("postgres ended (killed by SIGKILL); it is started again")
    wait_until(lambda: read_state(home)["pids"].get("postgres", first) != first, lambda: running.said)
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0


@pytest.mark.usefixtures("model")
def test_the_password_of_another_database_is_not_written_down(
    home: Path, start: Callable[..., Running]
) -> None:
    running = start(DATABASE_URL="postgresql://me:secret@elsewhere/")
    assert "none is started here" in running.until_up()
    assert "secret" not in (home / "run" / "system.json").read_text()
    assert not (home / "postgres").exists()


@pytest.mark.usefixtures("model")
def test_the_address_of_another_database_may_lie_in_a_file_and_stands_in_no_environment(
    home: Path, start: Callable[..., Running]
) -> None:
    (home / "url").write_text("postgresql://me:secret@elsewhere/\n")
    running = start(DATABASE_URL="", DATABASE_URL_FILE=str(home / "url"))
    assert "The database is that of DATABASE_URL_FILE; none is started here." in running.until_up()
    told = [Path(f"/proc/{pid}/environ").read_bytes() for pid in running.processes()]
    assert len(told) >= 7
    assert all(b"\0DATABASE_URL_FILE=" in one for one in told)
    assert all(b"\0VITRINE_QUEUE_URL_FILE=" in one for one in told)
    assert not any(b"secret" in one for one in told)


def test_a_home_that_cannot_be_one_is_refused(home: Path, start: Callable[..., Running]) -> None:
    (home / "file").touch()
    running = start(VITRINE_HOME=str(home / "file"))
    assert running.end() == 1
    assert f"VITRINE_HOME is {home / 'file'}, which cannot be used" in running.said
