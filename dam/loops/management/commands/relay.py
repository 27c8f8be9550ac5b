from typing import Any

from django.core.management.base import BaseCommand

from dam.loops import relay
from dam.loops.process import configure_logging, stop_on_signals


class Command(BaseCommand):
    help = "Take queued jobs to the broker until stopped."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        configure_logging()
        relay.run(stop_on_signals())
