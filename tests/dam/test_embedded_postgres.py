from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dam.embedded import postgres as embedded
from dam.embedded import processes
from dam.embedded.errors import EmbeddedError
from dam.embedded.postgres import EmbeddedPostgres
from dam.embedded.state import database_url, read_state, socket_url

FAST = {"fsync": "off"}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")

# Starts a server, says so, and waits for its end.
OWNER = """
import sys, signal
from pathlib import Path
from dam.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"})
server.start()
print(server.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    # Not below tmp_path: its long names are for a test of their own.
    with tempfile.TemporaryDirectory(prefix="vitrine-pg-") as folder:
        yield Path(folder)


@pytest.fixture
def owner(home: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], int]]]:
    """Starts another process that runs a server on ``home``; returns it with the server's process id."""
    started: list[subprocess.Popen[str]] = []

    def start() -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def keep_a_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_the_first_start_makes_the_database_and_a_second_one_finds_its_data(
    home: Path,
) -> None:
    with EmbeddedPostgres(home, settings=FAST) as server:
        keep_a_row(server.url)
        names = {row[0] for row in rows(server.url, "SELECT extname FROM pg_extension")}
        assert names >= {"vector", "pg_trgm", "unaccent"}
        assert rows(server.url, "SHOW server_encoding") == [("UTF8",)]
        assert rows(server.url, "SELECT lower('ÀÖ')") == [("àö",)]
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert rows(server.url, "SELECT n FROM kept") == [(1,)]


def test_the_applications_role_is_no_superuser_and_may_make_databases_with_the_extensions(home: Path) -> None:
    with EmbeddedPostgres(home, settings=FAST) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE another")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT pg_read_file('/etc/passwd')")
        assert rows(socket_url(server.sockets, database="another"), "SELECT '[1]'::vector") == [("[1]",)]


def test_the_server_is_durable_by_default_and_opens_no_network_port(home: Path) -> None:
    with EmbeddedPostgres(home) as server:
        for name, value in (("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "")):
            assert rows(server.url, f"SHOW {name}") == [(value,)]


def test_only_the_owner_may_enter_the_folders_of_data_and_socket(home: Path) -> None:
    with EmbeddedPostgres(home, settings=FAST) as server:
        for folder in (server.data, server.sockets):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        hba = (server.data / "pg_hba.conf").read_text()
        assert hba.split() == ["local", "all", "all", "peer", "map=vitrine"]


@needs_root
def test_another_user_of_the_machine_cannot_connect_even_with_access_to_the_socket(home: Path) -> None:
    home.chmod(0o755)
    settings = {**FAST, "unix_socket_permissions": "0777"}
    with EmbeddedPostgres(home, settings=settings) as server:
        server.sockets.chmod(0o755)
        stranger = (
            "import os, psycopg, sys\n"
            "os.setgid(65534); os.setuid(65534)\n"
            "try:\n"
            "    psycopg.connect(sys.argv[1])\n"
            "except psycopg.OperationalError as error:\n"
            "    sys.exit('Peer authentication failed' not in str(error))\n"
            "sys.exit(2)\n"
        )
        assert subprocess.run([sys.executable, "-c", stranger, server.url], check=False).returncode == 0


@needs_root
def test_root_runs_the_server_under_another_account_even_below_a_closed_folder(
    home: Path,
) -> None:
    below = home / "closed"
    below.mkdir(mode=0o700)
    with EmbeddedPostgres(below / "var", settings=FAST) as server:
        assert server.pid is not None
        status = Path(f"/proc/{server.pid}/status").read_text()
        uid = int(status.split("Uid:")[1].split()[0])
        assert uid == server.data.stat().st_uid != 0
        assert below.stat().st_mode & 0o777 == 0o700
        assert below.stat().st_uid == 0


@needs_root
def test_root_needs_no_capability_for_a_server_that_everybody_may_reach(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.chmod(0o755)
    reachable = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", str(embedded.binaries() / "postgres"), "--version"],
        check=False,
        capture_output=True,
    )
    if reachable.returncode != 0:
        pytest.skip("the checkout lies below a folder that only root may enter")
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert "CapEff:\t0000000000000000" in Path(f"/proc/{server.pid}/status").read_text()


def test_a_home_with_a_very_long_name_gets_a_socket_that_can_be_opened(home: Path) -> None:
    long = home / ("x" * 100) / ("y" * 100)
    with EmbeddedPostgres(long, settings=FAST) as server:
        assert not server.sockets.is_relative_to(long)
        assert database_url(long) == server.url
        assert rows(database_url(long), "SELECT 1") == [(1,)]
    server.sockets.rmdir()


def test_a_socket_folder_laid_out_by_somebody_else_is_refused(home: Path) -> None:
    long = home / ("x" * 100) / ("y" * 100)
    server = EmbeddedPostgres(long, settings=FAST)
    server.sockets.symlink_to(home)
    try:
        with pytest.raises(EmbeddedError, match="not a folder of our own"):
            server.start()
    finally:
        server.sockets.unlink()


def test_the_address_is_known_before_the_first_start_and_written_down_by_it(home: Path) -> None:
    before = database_url(home)
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert server.url == before
        assert read_state(home)["database_url"] == before


def test_a_second_server_on_the_same_home_is_refused_and_harms_nothing(
    home: Path, owner: Callable[[], tuple[subprocess.Popen[str], int]]
) -> None:
    _, pid = owner()
    with pytest.raises(EmbeddedError, match="Another process runs the database"):
        EmbeddedPostgres(home, settings=FAST).start()
    assert processes.is_alive(pid)
    assert rows(database_url(home), "SELECT 1") == [(1,)]


def test_the_server_ends_with_a_killed_owner_and_the_next_start_is_clean(
    home: Path, owner: Callable[[], tuple[subprocess.Popen[str], int]]
) -> None:
    process, pid = owner()
    keep_a_row(database_url(home))
    process.kill()
    process.wait()
    wait_until(lambda: not processes.is_alive(pid))
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert rows(server.url, "SELECT n FROM kept") == [(1,)]


def test_a_server_that_outlived_its_owner_is_ended_before_the_next_one_starts(home: Path) -> None:
    first = EmbeddedPostgres(home, settings=FAST)
    first.start()
    first_pid = first.pid
    assert first_pid is not None
    # As after a killed owner on a system without parent death signals: lock free, server alive.
    assert first._lock is not None
    first._lock.close()
    with EmbeddedPostgres(home, settings=FAST) as second:
        assert second.pid != first_pid
        assert not processes.is_alive(first_pid)
        assert rows(second.url, "SELECT 1") == [(1,)]
    first.stop()


def test_a_stale_pid_file_that_names_a_living_stranger_neither_stops_the_start_nor_harms_the_stranger(
    home: Path,
) -> None:
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert server._process is not None
        lines = (server.data / "postmaster.pid").read_text().splitlines()
        server._process.send_signal(signal.SIGKILL)
        wait_until(lambda: not server.is_running())
    account = server._account
    assert account is not None
    stranger = processes.spawn(
        processes.Program(["/bin/sleep", "600"], env={}, account=account), subprocess.DEVNULL
    )
    try:
        pid_file = server.data / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with EmbeddedPostgres(home, settings=FAST) as again:
            assert rows(again.url, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_first_start_leaves_nothing_that_counts_as_a_database(home: Path) -> None:
    half = home / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(home, settings=FAST) as server:
        assert rows(server.url, "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_server_that_cannot_start_says_so_with_its_own_words(home: Path) -> None:
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedPostgres(home, settings={"no_such_setting": "1"}).start()


def test_a_child_may_not_gain_privileges_and_dies_with_its_parent() -> None:
    script = (
        "import sys, subprocess\n"
        "from dam.embedded.processes import Program, spawn\n"
        "child = spawn(Program(['/bin/sleep', '600'], env={}), subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: processes.arguments(child)[:1] == ["/bin/sleep"])
        assert "NoNewPrivs:\t1" in Path(f"/proc/{child}/status").read_text()
        parent.kill()
    wait_until(lambda: not processes.is_alive(child))
