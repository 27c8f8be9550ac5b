"""The results writer, killed at one exact point: after its commit and before its acknowledgement.

``python -m tests.faults.launch_writer MARKER`` is ``vitrine write_results`` with that one difference. The
file MARKER is the proof that the point was reached.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

from pipeline.ports import Delivery, Transport
from pipeline.telemetry.stopping import stop_on_signals


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "dam.settings"
    django.setup()
    from dam.loops import results  # noqa: PLC0415 - needs Django set up
    from dam.telemetry.process import telling  # noqa: PLC0415

    make = results.transport_from_url
    marker = Path(sys.argv[1])

    def transport_with_a_trap(url: str) -> Transport:
        transport: Any = make(url)
        consumer = transport.consumer

        def trapped(*arguments: Any, **options: Any) -> Any:
            made = consumer(*arguments, **options)
            ack = made.ack

            def die_instead(deliveries: Sequence[Delivery]) -> None:
                # A consumer begins with single messages; many at once are the harder case.
                if len(deliveries) > 1:
                    marker.write_text(str(len(deliveries)))
                    os.kill(os.getpid(), signal.SIGKILL)
                ack(deliveries)

            made.ack = die_instead
            return made

        transport.consumer = trapped
        return transport

    results.transport_from_url = transport_with_a_trap
    with telling("writer") as health:
        results.run(stop_on_signals(), health)


if __name__ == "__main__":
    main()
