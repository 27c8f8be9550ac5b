"""``python -m pipeline.telemetry.probe [PATH]``: asks this container's process how it is, for its probes.

It asks ``VITRINE_HEALTH_PORT`` for ``/readyz``, or for another path, and ends with 0 if the answer is 200;
else it says what is wrong and ends with 1. It runs every few seconds beside the process, so it imports next
to nothing and speaks HTTP itself.
"""

from __future__ import annotations

import json
import os
import socket
import sys

# The pages are asked in turn, by whoever is asked here, and have five seconds for it.
_ANSWERS_WITHIN_S = 8.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


def main() -> int:
    """Ask, and say what is wrong; returns the exit status."""
    path = sys.argv[1] if len(sys.argv) > 1 else "/readyz"
    port = os.environ.get("VITRINE_HEALTH_PORT", "")
    if not port.isdecimal() or port == "0":
        return _failed("VITRINE_HEALTH_PORT is not set, so nobody says how this process is")
    host = os.environ.get("VITRINE_HEALTH_HOST", "")
    try:
        status, body = _get(_EVERYWHERE.get(host, host), int(port), path)
    except (OSError, ValueError, OverflowError) as error:
        return _failed(f"no answer from port {port}: {error}")
    return 0 if status == "200" else _failed(_wrong(body) or f"{path} answers {status}")


def _get(host: str, port: int, path: str) -> tuple[str, bytes]:
    """Status and body.

    Raises:
        OSError: nobody answers.
        ValueError: what answers is no HTTP.
    """
    with socket.create_connection((host, port), timeout=_ANSWERS_WITHIN_S) as connection:
        # HTTP/1.0: the answer ends with the connection.
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    protocol, status, *_ = head.decode("latin-1").split(maxsplit=2)
    if not protocol.startswith("HTTP/"):
        raise ValueError("it speaks no HTTP")
    return status, body


def _wrong(body: bytes) -> str:
    """What an answer of :class:`pipeline.telemetry.health.HealthServer` complains of."""
    try:
        said = json.loads(body)
        if "checks" not in said:
            return str(said["status"])
        return "; ".join(f"{name}: {one['detail']}" for name, one in said["checks"].items() if not one["ok"])
    except (ValueError, KeyError, TypeError):
        return ""


def _failed(reason: str) -> int:
    sys.stdout.write(f"{reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
