from typing import Any

from django.core.management.base import BaseCommand

from dam.monitoring import monitor
from dam.monitoring.parts import parts_of
from dam.monitoring.settings import MonitorSettings
from dam.telemetry.process import telling
from pipeline.telemetry.stopping import stop_on_signals


class Command(BaseCommand):
    help = "Read the state of the whole system and serve it as metrics on VITRINE_HEALTH_PORT, until stopped."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        with telling("monitor") as health:
            monitor.run(stop_on_signals(), health, parts_of(MonitorSettings()))
