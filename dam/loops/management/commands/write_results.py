from typing import Any

from django.core.management.base import BaseCommand

from dam.loops import results
from dam.loops.schema import wait_for_schema
from dam.telemetry.process import collect_seldom, telling
from pipeline.telemetry.stopping import stop_on_signals


class Command(BaseCommand):
    help = "Take answers from the broker into the catalogue until stopped."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        with telling("writer") as health:
            stop = stop_on_signals()
            wait_for_schema("writer waits", stop, health)
            collect_seldom()
            results.run(stop, health)
