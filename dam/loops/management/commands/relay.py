from typing import Any

from django.core.management.base import BaseCommand

from dam.loops import relay
from dam.loops.schema import wait_for_schema
from dam.telemetry.process import telling
from pipeline.telemetry.stopping import stop_on_signals


class Command(BaseCommand):
    help = "Take queued jobs to the broker until stopped."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        with telling("relay") as health:
            stop = stop_on_signals()
            wait_for_schema("relay waits", stop, health)
            relay.run(stop, health)
