from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dam.tagging.models import Tag
from dam.tagging.services import claims_derive_all
from dam.tagging.vocabulary import vocabulary_read, vocabulary_register


class Command(BaseCommand):
    help = "Tell the catalogue of a model's vocabulary. Running it again changes nothing."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="folder of an exported model version")

        parser.add_argument(
            "--keep-known", action="store_true", help="add what is new, and change no tag that has a name"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        path = options["path"] / "assets.extra" / "vocabulary.json"
        try:
            file = vocabulary_read(path)
            new = vocabulary_register(entries=file.tags, keep_known=options["keep_known"])
        except (OSError, ValueError) as error:
            raise CommandError(f"{path}: {error}") from error
        if Tag.objects.filter(derive_pending=True).exists():
            self.stdout.write(f"claims derived again: {claims_derive_all()} assets")
        self.stdout.write(f"vocabulary {file.vocabulary_id}: {len(file.tags)} tags, {new} new")
