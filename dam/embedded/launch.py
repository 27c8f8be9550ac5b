"""Becomes another program that dies with the process which started it.

Run as a script in a fresh interpreter: ``python -I -S launch.py SPEC COMMAND…``. SPEC is a JSON object:

``parent``        process id that must be our parent; if it is not any more, it died meanwhile
``death_signal``  signal that the kernel sends us when the parent dies
``uid, gid``      optional: the account to become, with ``groups``
``capability``    optional: number of the one capability to keep over that change
``cwd``           folder to enter, as that account

A script and not ``Popen(preexec_fn=…)``, because Python code between fork and exec may dead-lock in a
process that has threads.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import Any

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _become(spec: dict[str, Any], libc: ctypes.CDLL) -> None:
    """Change to the account of ``spec``, with its one capability or none."""
    capability: int | None = spec.get("capability")
    if capability is not None:
        # Without this bit the kernel leaves the capability out of account in access(2), with which
        # PostgreSQL looks for its own files; it also keeps the sets over setuid.
        _check(libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "securebits")
    os.setgroups(spec["groups"])
    os.setgid(spec["gid"])
    os.setuid(spec["uid"])
    if capability is None:
        return
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    only = 1 << capability
    sets = (_CapabilitySets * 2)(_CapabilitySets(only, only, only), _CapabilitySets(0, 0, 0))
    _check(libc.capset(ctypes.byref(header), sets), "capset")
    _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "ambient capability")


def main() -> None:
    """Prepare this process as told and replace it by the command; exit code 126 if that is impossible."""
    spec: dict[str, Any] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    try:
        # What a shell starts with "&" ignores these, and so would all that it starts: our death signal, too.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        linux = sys.platform == "linux"
        libc = ctypes.CDLL(None, use_errno=True)
        if "uid" in spec:
            _become(spec, libc)
        if linux:
            _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
            # After the change of account, which clears it.
            _check(libc.prctl(_PR_SET_PDEATHSIG, spec["death_signal"], 0, 0, 0), "parent death signal")
        if os.getppid() != spec["parent"]:
            sys.exit(0)
        os.chdir(spec["cwd"])
        os.execv(command[0], command)  # noqa: S606 - an argument list, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error}\n")
        sys.exit(126)


if __name__ == "__main__":
    main()
