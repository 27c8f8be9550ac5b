"""Under which account PostgreSQL runs: it refuses root, so root has to name another."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dam.embedded.errors import EmbeddedError
from dam.embedded.processes import Account, Program, spawn

_PREFERRED = ("postgres", "nobody")

# linux/capability.h. Read and search is the weaker one and enough unless the files themselves were
# installed for root's eyes only (umask 077); containers often have the second and not the first.
_CAP_DAC_READ_SEARCH = 2
_CAP_DAC_OVERRIDE = 1


def current_user() -> str:
    """Name of the user we run as, which is how the database knows them.

    Raises:
        EmbeddedError: the user id has no name.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise EmbeddedError(
            f"User id {os.geteuid()} has no name on this machine, and PostgreSQL needs one. "
            "Add it to /etc/passwd, or point DATABASE_URL at a PostgreSQL server of your own."
        ) from None


def _named(name: str) -> Account:
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))


def server_account(data: Path) -> Account:
    """Who runs PostgreSQL on the folder ``data``: we ourselves, or for root an unprivileged account.

    A folder that is there already keeps its owner.

    Raises:
        EmbeddedError: the folder is somebody else's, or root finds no account to become.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise EmbeddedError(
                f"The database in {data} belongs to another user (id {owner}). Start Vitrine as that user "
                "(as root, if root made it), or set VITRINE_HOME to a folder of your own."
            )
        return Account(current_user(), os.geteuid(), os.getegid())
    names = list(_PREFERRED)
    if owner:
        with contextlib.suppress(KeyError):
            names.insert(0, pwd.getpwuid(owner).pw_name)
    for name in names:
        try:
            return _named(name)
        except KeyError:
            continue
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is neither an account 'postgres' nor 'nobody' to run it. "
        "Start Vitrine as an ordinary user."
    )


def able_to_run(account: Account, program: Path, *, folders: Iterable[Path]) -> Account:
    """The account with the least it needs to execute ``program`` and to enter ``folders``.

    Below a folder that only root may enter (a clone in /root, say) an unprivileged account cannot reach
    the program or the data. We do not open such folders for it, since that would outlive us and show
    everything else in them; the server keeps one capability instead, which ends with its process. That is
    bearable because the application's role is no superuser of the database and cannot read files by SQL.

    Raises:
        EmbeddedError: nothing works; the text says what was tried.
    """
    if os.geteuid() != 0:
        return account
    places = [program.parent, *folders]
    failure = ""
    for capability in (None, _CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        candidate = replace(account, capability=capability)
        failure = next(filter(None, (_obstacle(candidate, program, place) for place in places)), "")
        if not failure:
            return candidate
    raise EmbeddedError(
        f"Root has to run PostgreSQL as '{account.name}', which cannot reach {program} or its data, nor may "
        f"we give it the capability to do so ({failure}). Put the checkout and VITRINE_HOME below folders "
        "that everybody may enter, or start Vitrine as an ordinary user."
    )


def _obstacle(account: Account, program: Path, folder: Path) -> str:
    """Why the account cannot run the program in that folder; empty if it can."""
    command = [str(program), "--version"]
    probe = spawn(Program(command, env={}, cwd=folder, account=account), subprocess.PIPE)
    said, _ = probe.communicate()
    return "" if probe.returncode == 0 else said.decode(errors="replace").strip()
