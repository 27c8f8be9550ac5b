"""Ports that a server may be given, lose and take again."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST, _HIGHEST = 10_000, 32_767


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses.

    Not of those that the system gives to outgoing connections: one of these could take the port of a server
    that is down for a moment.
    """
    highest = min(_HIGHEST, int(_RANGE.read_text().split()[0]) - 1) if _RANGE.is_file() else _HIGHEST
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.randint(_LOWEST, highest)
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found
