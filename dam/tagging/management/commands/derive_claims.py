from typing import Any

from django.core.management.base import BaseCommand

from dam.tagging.services import claims_derive_all


class Command(BaseCommand):
    help = "Derive all claims again, after thresholds or the vocabulary were changed. Needs no pixels."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(f"derived again: {claims_derive_all()} assets")
