"""The relay, killed at one exact point: after the broker's confirmation and before the commit of its marks.

``python -m tests.faults.launch_relay MARKER`` is ``vitrine relay`` with that one difference. The file MARKER
is the proof that the point was reached.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import django

from pipeline.ports import Message, Publisher, Transport
from pipeline.telemetry.stopping import stop_on_signals


class _DyingPublisher:
    def __init__(self, publisher: Publisher, marker: Path) -> None:
        self._publisher = publisher
        self._marker = marker

    def publish(self, messages: Sequence[Message]) -> None:
        self._publisher.publish(messages)
        if messages:
            self._marker.write_text(str(len(messages)))
            os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        self._publisher.close()

    def __enter__(self) -> Self:
        self._publisher.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.__exit__(kind, error, trace)


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "dam.settings"
    django.setup()
    from dam.loops import relay  # noqa: PLC0415 - needs Django set up
    from dam.telemetry.process import telling  # noqa: PLC0415

    make = relay.transport_from_url
    marker = Path(sys.argv[1])

    def transport_with_a_trap(url: str) -> Transport:
        transport: Any = make(url)
        publisher = transport.publisher
        transport.publisher = lambda: _DyingPublisher(publisher(), marker)
        return transport

    relay.transport_from_url = transport_with_a_trap
    with telling("relay") as health:
        relay.run(stop_on_signals(), health)


if __name__ == "__main__":
    main()
