"""What a running embedded system tells the commands beside it.

``VITRINE_HOME/run/system.json`` names the address, the ports, the database and the process ids. The
settings import this module at every start of every command, so it imports nothing of weight.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.secret_files import secret_source

ROLE = "vitrine"
DATABASE = "vitrine"
PORT = 5432
"""Only a part of the socket's name: no TCP port is opened."""

# sockaddr_un holds 108 bytes on Linux with the closing NUL, 104 on macOS; the smaller one suits both.
_LONGEST_SOCKET_PATH = 103


ROOT = Path(__file__).resolve().parents[2]
"""The checkout, or the folder into which the packages were installed."""


def home_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """VITRINE_HOME: where all state lives."""
    return Path(environment.get("VITRINE_HOME") or ROOT / "var").resolve()


def state_file(home: Path) -> Path:
    """Where the state of the embedded system of ``home`` is written."""
    return home / "run" / "system.json"


def read_state(home: Path) -> dict[str, Any]:
    """The last written state; empty if the embedded system never ran there."""
    try:
        state: dict[str, Any] = json.loads(state_file(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state


def is_key_of_one_replica(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether sessions are signed with a key that only who shares our home knows, and others may be there.

    So it is where the database is elsewhere and no key is given; the embedded system, which may use such a
    database too, has one home and leaves its state there.
    """
    if not secret_source("DATABASE_URL", environment) or secret_source("VITRINE_SECRET_KEY", environment):
        return False
    return not state_file(home_folder(environment)).exists()


def update_state(home: Path, **fields: object) -> None:
    """Replace single fields of the state; None removes a field. Only the holder of the lock calls this."""
    state = {**read_state(home), **fields}
    path = state_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(
        json.dumps({name: value for name, value in state.items() if value is not None}, indent=2) + "\n",
        encoding="utf-8",
    )
    draft.replace(path)


def default_socket_folder(home: Path) -> Path:
    """The folder of the database's socket: in ``home``, or below the temporary folder if that is too long."""
    home = home.resolve()
    folders = [home / "run" / "postgres"]
    # The name follows from the home, so two homes never share a folder.
    name = f"vitrine-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    folders += [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]  # noqa: S108 - checked before use
    for folder in folders:
        if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= _LONGEST_SOCKET_PATH:
            return folder
    return folders[-1]


def database_url(home: Path) -> str:
    """The address of the embedded database of ``home``; nothing is started."""
    folder = read_state(home).get("socket_folder") or default_socket_folder(home)
    return socket_url(Path(folder))


def socket_url(folder: Path, *, role: str = ROLE, database: str = DATABASE) -> str:
    """The libpq address of a database behind a Unix socket."""
    return f"postgresql://{role}@/{database}?host={quote(str(folder), safe='/')}"
