"""Ports that a server may be given, lose and take again."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 10_000, 32_767
SHARE = "VITRINE_TEST_PORTS"
"""Variable with the ports of this run of the tests, as ``10000-21383``, if others run beside it: one of
them could take a port between its choice and its use, or while its server is down."""


def shares(count: int) -> list[str]:
    """Values of the variable for so many runs that have no port in common."""
    lowest, highest = _range()
    size = (highest - lowest + 1) // count
    return [f"{first}-{first + size - 1}" for first in range(lowest, lowest + count * size, size)]


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses.

    Not of those that the system gives to outgoing connections: one of these could take the port of a server
    that is down for a moment.
    """
    lowest, highest = _range()
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randint(lowest, highest)
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found


def _range() -> tuple[int, int]:
    """The lowest and the highest."""
    if SHARE in os.environ:
        lowest, highest = os.environ[SHARE].split("-")
        return int(lowest), int(highest)
    return _LOWEST, min(_HIGHEST, int(_RANGE.read_text().split()[0]) - 1) if _RANGE.is_file() else _HIGHEST
